// The drawing board: one cell for each visible unit, drawn with pointer or keys.

import { draw, moved, pixelAt } from "/static/picture.js";

export const FREE = -1;

export class Board {
  constructor(canvas, said, pen) {
    Object.assign(this, { canvas, said, pen, cursor: 0, shape: [1, 1], cells: [FREE] });
    let last = null;
    const at = (event) => {
      const cell = pixelAt(canvas, event);
      if (cell !== null && cell !== last) this.line(last ?? cell, cell);
      last = cell;
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      last = null;
      at(event);
    });
    canvas.addEventListener("pointermove", (event) => event.buttons && at(event));
    canvas.addEventListener("keydown", (event) => {
      const next = moved(canvas, this.cursor, event.key);
      if (next !== null) this.cursor = next;
      else if (event.key === " " || event.key === "Enter") this.touch(this.cursor);
      else return;
      event.preventDefault();
      this.say();
      this.show();
    });
    canvas.addEventListener("focus", () => this.show());
    canvas.addEventListener("blur", () => this.show());
  }

  resize(shape) {
    if (shape[0] === this.shape[0] && shape[1] === this.shape[1]) return;
    this.shape = shape;
    this.cursor = 0;
    this.clear();
  }

  clear() {
    this.set(new Array(this.shape[0] * this.shape[1]).fill(FREE));
  }

  set(cells) {
    this.cells = Array.from(cells);
    this.show();
  }

  get empty() {
    return this.cells.every((level) => level === FREE);
  }

  // A stroke is a little wider than a cell.
  touch(cell) {
    const [height, width] = this.shape;
    const [row, column] = [Math.floor(cell / width), cell % width];
    const level = this.pen();
    this.cells[cell] = level;
    const wide = Math.min(height, width) >= 16;
    for (const [r, c] of wide ? [[row + 1, column], [row, column + 1], [row + 1, column + 1]] : []) {
      if (r < height && c < width) this.cells[r * width + c] = level;
    }
  }

  line(from, to) {
    const width = this.shape[1];
    const [r0, c0, r1, c1] = [Math.floor(from / width), from % width, Math.floor(to / width), to % width];
    const steps = Math.max(Math.abs(r1 - r0), Math.abs(c1 - c0), 1);
    for (let i = 0; i <= steps; i++) {
      const [r, c] = [r0 + ((r1 - r0) * i) / steps, c0 + ((c1 - c0) * i) / steps];
      this.touch(Math.round(r) * width + Math.round(c));
    }
    this.show();
  }

  // The cells to clamp. Of a half, undrawn cells are paper; the other half is free.
  region(which) {
    const [height, width] = this.shape;
    const inside = { upper: (i) => i < Math.floor(height / 2) * width, left: (i) => i % width < width / 2 }[which];
    return inside ? this.cells.map((level, i) => (inside(i) ? Math.max(level, 0) : FREE)) : this.cells;
  }

  say() {
    const width = this.shape[1];
    const value = this.cells[this.cursor];
    const what = value === FREE ? "free" : value > 127 ? "ink" : "paper";
    this.said.textContent = `row ${Math.floor(this.cursor / width)}, column ${this.cursor % width}: ${what}`;
  }

  show() {
    if (!this.palette) return;
    const focused = document.activeElement === this.canvas ? this.cursor : null;
    const levels = this.cells.map((level) => (level === FREE ? 96 : 128 + Math.round(((level - 127.5) * 127) / 127.5)));
    draw(this.canvas, levels, this.shape, this.palette, focused);
  }
}
