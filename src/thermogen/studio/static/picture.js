// Units as pixels: bytes 0 to 255 through a palette of the colours of the page.

const rgb = (name) => {
  const value = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return [1, 3, 5].map((at) => parseInt(value.slice(at, at + 2), 16));
};

const between = (a, b, f) => a.map((value, i) => Math.round(value + (b[i] - value) * f));

const packed = ([r, g, b]) => (255 << 24) | (b << 16) | (g << 8) | r;

export function palettes() {
  const [low, high] = [rgb("--picture-low"), rgb("--picture-high")];
  const [minus, zero, plus] = [rgb("--energy"), rgb("--raised"), rgb("--heat")];
  const steps = Array.from({ length: 256 }, (_, i) => i / 255);
  return {
    states: Uint32Array.from(steps, (f) => packed(between(low, high, f)) >>> 0),
    signed: Uint32Array.from(steps, (f) =>
      packed(f < 0.5 ? between(minus, zero, 2 * f) : between(zero, plus, 2 * f - 1)) >>> 0),
  };
}

export function draw(canvas, levels, [height, width], palette, mark = null) {
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < levels.length; i++) pixels[i] = palette[levels[i]];
  if (mark !== null) pixels[mark] = 0xff2a6df4;
  context.putImageData(image, 0, 0);
}

// A rectangle for units without an image: about twice as wide as high.
export function rectangle(count) {
  const width = Math.max(1, Math.ceil(Math.sqrt(2 * count)));
  return [Math.max(1, Math.ceil(count / width)), width];
}

// The pixel of a canvas under a pointer.
export function pixelAt(canvas, event) {
  const box = canvas.getBoundingClientRect();
  const column = Math.floor(((event.clientX - box.left) / box.width) * canvas.width);
  const row = Math.floor(((event.clientY - box.top) / box.height) * canvas.height);
  const inside = column >= 0 && row >= 0 && column < canvas.width && row < canvas.height;
  return inside ? row * canvas.width + column : null;
}

// Arrow keys move a cursor over a canvas; the new place, or null for another key.
export function moved(canvas, place, key) {
  const [width, total] = [canvas.width, canvas.width * canvas.height];
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -width, ArrowDown: width }[key];
  if (by === undefined) return null;
  const next = place + by;
  return next < 0 || next >= total ? place : next;
}
