// The page: it shows the messages of the server and sends the commands of the visitor.

import { Board } from "/static/board.js";
import { Chart } from "/static/chart.js";
import { connect } from "/static/link.js";
import { draw, moved, palettes, pixelAt, rectangle } from "/static/picture.js";

const $ = (id) => document.getElementById(id);
const made = (tag, given = {}, ...inside) => {
  const element = Object.assign(document.createElement(tag), given);
  element.append(...inside);
  return element;
};
const figure = (value, digits = 1) =>
  value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", "−");

const short = (value) => (Math.abs(value) < 5e-7 ? "0" : String(Number(value.toPrecision(3))).replaceAll("-", "−"));

let palette = palettes();
let model = null;
let settings = null;
let latest = null;
let token = null;
const chart = new Chart($("chart"));
const board = new Board($("board"), $("board-at"), () => Number(document.querySelector("[name=pen]:checked").value));
const drawings = [];

const say = connect({
  heard: (message) => heard[message.kind](message),
  frame: (header, levels) => {
    latest = { header, levels };
    requestAnimationFrame(show);
  },
  lost: () => {
    $("status").textContent = "";
    $("error").textContent = "The connection is lost. Reload the page. If that fails, restart thermogen studio.";
    document.body.dataset.connection = "lost";
  },
});

// --- messages ---------------------------------------------------------------------------------------------

const heard = {
  hello(message) {
    token = message.token;
    $("integrator").replaceChildren(...message.integrators.map((name) => new Option(name)));
    document.querySelectorAll("[data-file]").forEach((link) => {
      link.href = `/save/${token}/${link.dataset.file}`;
    });
  },
  model(message) {
    model = message;
    $("model").replaceChildren(...message.models.map((name) => new Option(name)));
    $("model").value = message.name;
    const { visible, hidden } = message.units;
    const [height, width] = message.image_shape;
    $("about").textContent =
      `${visible} visible units (${height} × ${width})` + (hidden ? `, ${hidden} hidden` : "") +
      `; trained on ${message.trained_on}`;
    $("ask").replaceChildren(
      ...(message.labels.length ? [made("span", { textContent: "Class " })] : []),
      ...message.labels.map((label) => classButton(label, String(label))),
      ...(message.labels.length ? [classButton(null, "all")] : []),
    );
    $("hidden-figure").hidden = !hidden;
    $("unit").max = visible + hidden + message.units.output - 1;
    board.resize(message.image_shape);
    chart.clear();
  },
  settings(message) {
    settings = message;
    $("run").textContent = message.running ? "Pause" : "Run";
    $("pace").value = Math.log2(message.pace);
    $("pace-value").textContent = `× ${Number(message.pace.toPrecision(3))}`;
    $("temperature").value = Math.log2(message.temperature / model.kT);
    $("temperature-value").textContent = `kT = ${Number(message.temperature.toPrecision(3))} E₀`;
    $("dt").value = Math.log2(message.dt / model.dt);
    $("dt-value").textContent = Number(message.dt.toPrecision(3));
    $("integrator").value = message.integrator;
    $("count").value = message.samples;
    $("at-end").value = message.at_end;
    if (document.activeElement !== $("seed")) $("seed").value = message.seed;
    if (document.activeElement !== $("unit")) $("unit").value = message.unit ?? "";
    $("sample-number").textContent = message.sample;
    $("free").disabled = !message.held;
    document.querySelectorAll("#ask button").forEach((button) =>
      button.setAttribute("aria-pressed", String(button.dataset.label === String(message.label))));
    tiles(message.samples, message.sample);
    document.body.dataset.ready = "true";
  },
  begun(message) {
    document.body.dataset.seed = message.seed;
    document.body.dataset.run = message.run;
    document.body.dataset.step = "";
    chart.clear();
    $("verdict").textContent = "";
    document.querySelectorAll("#grid span").forEach((caption) => (caption.textContent = ""));
  },
  verdict(message) {
    const captions = document.querySelectorAll("#grid span");
    (message.seen ?? []).forEach((label, i) => {
      if (!captions[i]) return;
      captions[i].textContent = `class ${label}`;
      captions[i].parentElement.setAttribute("aria-label", `Sample ${i}: class ${label}`);
    });
    if (message.right !== null) {
      $("verdict").textContent = `${message.right} of ${message.requested.length} have the requested class.`;
    } else if (message.seen) $("verdict").textContent = "The images are read out.";
    document.body.dataset.read = message.run;
  },
  example(message) {
    board.set(message.levels);
  },
  training(message) {
    const going = message.percent !== null;
    $("training").hidden = $("stop-training").hidden = !going;
    if (going) $("training").value = message.percent;
    $("training-said").textContent = message.note;
  },
  notice(message) {
    $("status").textContent = message.text;
  },
  error(message) {
    $("error").textContent = message.text;
  },
};

function classButton(label, text) {
  const button = made("button", { type: "button", textContent: text, onclick: () => act("ask", { label }) });
  button.dataset.label = String(label);
  button.setAttribute("aria-pressed", "false");
  return button;
}

function tiles(count, chosen) {
  const grid = $("grid");
  if (grid.children.length !== count) {
    grid.style.setProperty("--columns", Math.ceil(Math.sqrt(count)));
    grid.replaceChildren(...Array.from({ length: count }, (_, i) => {
      const button = made("button", { type: "button" }, made("canvas"), made("span"));
      button.setAttribute("aria-label", `Sample ${i}`);
      button.onclick = () => act("select", { sample: i, unit: settings.unit });
      return button;
    }));
    drawn = 0; // draws the current frame on the new canvases
    requestAnimationFrame(show);
  }
  [...grid.children].forEach((button, i) => button.setAttribute("aria-pressed", String(i === chosen)));
}

// --- a frame ----------------------------------------------------------------------------------------------

let drawn = 0;
const times = [];

function show(now) {
  if (!latest || !settings || !model || latest.header.frame === drawn) return;
  const { header, levels } = latest;
  drawn = header.frame;
  say("seen", { frame: drawn });
  times.push(now);
  while (times.length > 60) times.shift();
  document.body.dataset.fps = times.length > 1 ? ((times.length - 1) / ((now - times[0]) / 1000)).toFixed(1) : "";
  document.body.dataset.frame = drawn;
  document.body.dataset.step = header.step;
  const { visible, hidden, output } = model.units;
  const total = visible + hidden + output;
  if (levels.length !== header.count * total) return;
  [...$("grid").querySelectorAll("canvas")].slice(0, header.count).forEach((canvas, i) =>
    draw(canvas, levels.subarray(i * total, i * total + visible), model.image_shape, palette.states));
  const sample = Math.min(settings.sample, header.count - 1);
  const mine = levels.subarray(sample * total, (sample + 1) * total);
  const unit = header.unit;
  const inside = (from, size) => (unit && unit.number >= from && unit.number < from + size ? unit.number - from : null);
  draw($("visible"), mine.subarray(0, visible), model.image_shape, palette.states, inside(0, visible));
  if (hidden) draw($("hidden"), mine.subarray(visible, visible + hidden), rectangle(hidden), palette.states, inside(visible, hidden));
  $("visible").setAttribute("aria-label", `Visible units of sample ${sample}: arrow keys and Enter choose one`);
  $("hidden").setAttribute("aria-label", `Hidden units of sample ${sample}: arrow keys and Enter choose one`);
  $("clock").textContent = `t ${header.t.toFixed(3)} of ${Number(model.t_f.toPrecision(3))}`;
  $("time").value = Math.min(1, header.t / model.t_f);
  ledger(header, sample);
  unitPanel(unit);
}

function ledger(header, sample) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const pick = $("whose").value === "one" ? (values) => values[sample] : mean;
  const point = { t: header.t, change: pick(header.change), heat: pick(header.heat), work: pick(header.work) };
  chart.add(point);
  chart.draw(model.t_f);
  for (const name of ["change", "work", "heat"]) $(name).textContent = `${figure(point[name])} kT`;
  $("gap").textContent = `${figure(point.change - (point.work - point.heat), 3)} kT`;
  $("chart").setAttribute("aria-label",
    `Energy ${figure(point.change)}, work ${figure(point.work)}, heat ${figure(point.heat)} kT at t = ${header.t.toFixed(2)}`);
}

function name(number) {
  const { visible, hidden } = model.units;
  if (number < visible) {
    const width = model.image_shape[1];
    return `visible ${number} (row ${Math.floor(number / width)}, column ${number % width})`;
  }
  return number < visible + hidden ? `hidden ${number - visible}` : `output ${number - visible - hidden}`;
}

function unitPanel(unit) {
  $("unit-panel").hidden = !unit;
  if (!unit) return;
  const { x, own, bias, neighbours, total } = unit.forces;
  $("unit-said").textContent =
    `${name(unit.number)} is at x = ${short(x)}. Forces in E₀: neighbours ${short(neighbours)}, ` +
    `bias ${short(bias)}, own potential ${short(own)}; total ${short(total)}.`;
  draw($("field"), unit.field.slice(0, model.units.visible), model.image_shape, palette.signed);
  $("field").setAttribute("aria-label", `Couplings of ${name(unit.number)} to the visible units, up to ${unit.scale.toPrecision(3)} E₀`);
  $("neighbours").replaceChildren(...unit.strongest.map((neighbour) =>
    made("tr", {}, made("td", { textContent: name(neighbour.unit) }), made("td", { textContent: short(neighbour.J) }),
      made("td", { textContent: short(neighbour.push) }))));
}

// --- commands ---------------------------------------------------------------------------------------------

function act(what, given) {
  $("error").textContent = "";
  say(what, given);
}

$("model").onchange = () => act("choose", { model: $("model").value });
$("run").onclick = () => act(settings?.running ? "pause" : "run");
$("step").onclick = () => act("step");
$("restart").onclick = () => act("restart");
$("pace").oninput = () => act("pace", { value: 2 ** Number($("pace").value) });
$("temperature").oninput = () => act("temperature", { value: model.kT * 2 ** Number($("temperature").value) });
$("dt").onchange = () => act("dt", { value: model.dt * 2 ** Number($("dt").value) });
$("integrator").onchange = () => act("integrator", { value: $("integrator").value });
$("count").onchange = () => act("samples", { value: Number($("count").value) });
$("at-end").onchange = () => act("at_end", { value: $("at-end").value });
$("seed").onchange = () => act("restart", { seed: Number($("seed").value) });
$("whose").onchange = () => chart.clear();

const choose = (unit) => act("select", { sample: settings.sample, unit });
$("unit").onchange = () => choose($("unit").value === "" ? null : Number($("unit").value));
for (const [id, first] of [["visible", () => 0], ["hidden", () => model.units.visible]]) {
  const canvas = $(id);
  const size = () => (id === "visible" ? model.units.visible : model.units.hidden);
  canvas.onclick = (event) => {
    const place = pixelAt(canvas, event);
    if (place !== null && place < size()) choose(first() + place);
  };
  canvas.onkeydown = (event) => {
    const own = settings.unit !== null && settings.unit >= first() && settings.unit < first() + size();
    const here = own ? settings.unit - first() : 0;
    const next = event.key === "Enter" || event.key === " " ? here : moved(canvas, here, event.key);
    if (next === null) return;
    event.preventDefault();
    if (next < size()) choose(first() + next);
  };
}

$("hold").onclick = () => act("hold", { drawing: board.region($("region").value) });
$("free").onclick = () => act("hold", { drawing: board.cells.map(() => -1) });
$("place").onclick = () => act("place", { drawing: board.cells });
$("clear").onclick = () => board.clear();
$("example").replaceChildren(new Option("choose a digit", ""), ...Array.from({ length: 10 }, (_, i) => new Option(String(i))));
$("example").onchange = () => {
  if ($("example").value === "") return;
  act("example", { label: Number($("example").value), number: 10 });
  $("example").value = "";
};

const digitBoxes = Array.from({ length: 10 }, (_, i) => {
  const box = made("input", { type: "checkbox", value: i, checked: [3, 5, 8].includes(i) });
  $("digits").append(made("label", {}, box, ` ${i}`));
  return box;
});
$("train-digits").onclick = () =>
  act("train_digits", { digits: digitBoxes.filter((box) => box.checked).map((box) => Number(box.value)) });

$("add").onclick = () => {
  if (board.empty) {
    $("error").textContent = "The board is empty: draw something first.";
    return;
  }
  $("error").textContent = "";
  drawings.push([...board.cells]);
  board.clear();
  list();
};
$("train-drawings").onclick = () => act("train_drawings", { drawings });
$("stop-training").onclick = () => act("stop_training");

function list() {
  $("drawings").replaceChildren(...drawings.map((cells, i) => {
    const canvas = made("canvas");
    draw(canvas, cells.map((level) => Math.max(level, 0)), model.image_shape, palette.states);
    const button = made("button", { type: "button", textContent: "remove", onclick: () => {
      drawings.splice(i, 1);
      list();
    } });
    button.setAttribute("aria-label", `Remove drawing ${i}`);
    return made("li", {}, canvas, button);
  }));
  $("train-drawings").disabled = drawings.length < 2;
}

document.addEventListener("keydown", (event) => {
  if (event.target !== document.body || event.ctrlKey || event.altKey || event.metaKey) return;
  const id = { " ": "run", ".": "step", n: "restart" }[event.key];
  if (!id) return;
  event.preventDefault();
  $(id).click();
});

// --- light and dark ---------------------------------------------------------------------------------------

const dark = matchMedia("(prefers-color-scheme: dark)");
function theme() {
  const chosen = $("theme").value;
  document.documentElement.dataset.theme = chosen === "auto" ? (dark.matches ? "dark" : "light") : chosen;
  palette = palettes();
  board.palette = palette.states;
  board.show();
  drawn = 0;
  requestAnimationFrame(show);
  if (model) list();
}
$("theme").value = localStorage.getItem("theme") ?? "auto";
$("theme").onchange = () => {
  localStorage.setItem("theme", $("theme").value);
  theme();
};
dark.addEventListener("change", theme);
theme();
