// Energy, heat and work against time, as lines on a canvas.

const LINES = [
  ["change", "--energy", "ΔV"],
  ["work", "--work", "W"],
  ["heat", "--heat", "Q"],
];

export class Chart {
  constructor(canvas) {
    this.canvas = canvas;
    this.clear();
  }

  clear() {
    this.points = [];
  }

  add(point) {
    const last = this.points.at(-1);
    if (last && point.t < last.t) this.clear();
    this.points.push(point);
    if (this.points.length > 2000) this.points = this.points.filter((_, i) => i % 2 === 0);
  }

  draw(end) {
    const { canvas, points } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const sharp = window.devicePixelRatio || 1;
    if (!width || !points.length) return;
    if (canvas.width !== Math.round(width * sharp) || canvas.height !== Math.round(height * sharp)) {
      canvas.width = Math.round(width * sharp);
      canvas.height = Math.round(height * sharp);
    }
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name);
    const context = canvas.getContext("2d");
    context.setTransform(sharp, 0, 0, sharp, 0, 0);
    context.clearRect(0, 0, width, height);
    const all = points.flatMap((point) => LINES.map(([name]) => point[name]));
    const [low, high] = [Math.min(0, ...all), Math.max(1, ...all)];
    const last = Math.max(end, points.at(-1).t);
    const [left, right, top, bottom] = [60, 12, 24, 24];
    const x = (t) => left + (t / last) * (width - left - right);
    const y = (e) => top + ((high - e) / (high - low)) * (height - top - bottom);
    context.font = "13px system-ui, sans-serif";
    context.fillStyle = colour("--muted");
    context.strokeStyle = colour("--line");
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const value of ticks(low, high)) {
      context.beginPath();
      context.moveTo(left, y(value));
      context.lineTo(width - right, y(value));
      context.stroke();
      context.fillText(String(value).replace("-", "−"), left - 6, y(value));
    }
    context.textBaseline = "bottom";
    context.textAlign = "left";
    context.fillText("kT", 4, 14);
    context.textAlign = "right";
    context.fillText(`t = ${last.toPrecision(3)}`, width - right, height - 2);
    context.lineWidth = 2;
    for (const [name, line, label] of LINES) {
      context.strokeStyle = context.fillStyle = colour(line);
      context.beginPath();
      points.forEach((point, i) => context[i ? "lineTo" : "moveTo"](x(point.t), y(point[name])));
      context.stroke();
      const here = points.at(-1);
      const beyond = x(here.t) > width - right - 30;
      context.textAlign = beyond ? "right" : "left";
      context.fillText(label, x(here.t) + (beyond ? -4 : 4), y(here[name]) - 3);
    }
    context.lineWidth = 1;
  }
}

function ticks(low, high) {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const values = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) values.push(Number((i * step).toPrecision(6)));
  return values;
}
