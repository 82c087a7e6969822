// What people do, what the program says, and the address that keeps it.

const el = (id) => document.getElementById(id);
const canvases = { plane: el("plane"), space: el("space"), network: el("network"), loss: el("loss") };
const form = el("settings");

let socket = null;
let points = [];
let preset = null; // what made the points, until they are changed
let version = 0; // of the points
let settings = structuredClone(DEFAULTS);
let frame = null; // the last that came
let units = []; // where the network's units are drawn
let brush = 0;
let past = []; // points before each change
let awaited = null; // the preset whose points are to come
let opening = true; // until the points of a link have come
let cross = null; // where the keyboard points to
let wantsFrame = false;
let toSend = null; // points to be sent with the next picture
const drawnAt = []; // times of the last pictures

function say(message) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function tell(text, bad = false) {
  el("told").textContent = text;
  el("told").classList.toggle("bad", bad);
}

// ---- what the program says

function connect(state, runs) {
  socket = new WebSocket(`ws://${location.host}/socket`);
  let asked = true; // whether the state that was opened is not answered yet
  opening = true;
  socket.onopen = () => {
    say({ kind: "open", ...state });
    if (runs) say({ kind: "run", pace: pace() });
  };
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.kind === "frame") return take(message);
    if (message.kind === "points") {
      if (!asked) past.push({ points, preset });
      [asked, opening, preset, awaited] = [false, false, awaited, null];
      change(message.points, false);
      if (message.told) tell(message.told);
      return;
    }
    tell(message.reason, true);
    awaited = null;
    // A link that cannot be opened: something to begin with instead.
    if (asked) {
      asked = false;
      awaited = FIRST.preset;
      say({ kind: "open", ...FIRST, settings: DEFAULTS });
    }
  };
  socket.onclose = () => {
    tell("The program has ended or hung up. This page tries to reach it again.", true);
    el("fps").textContent = "–";
    setTimeout(() => {
      const state = stateNow();
      awaited = state.preset ?? null;
      connect(state, frame?.running);
    }, 2000);
  };
}

function take(message) {
  const wasTold = frame?.told;
  frame = message;
  // That there are no points is no news before those of a link have come.
  if (message.told && !opening) tell(message.told, message.trains);
  else if (wasTold && el("told").textContent === wasTold) tell("");
  if (!wantsFrame) {
    wantsFrame = true;
    requestAnimationFrame(show);
  }
  if (JSON.stringify(settings) !== JSON.stringify(message.settings)) {
    settings = message.settings;
    fillForm();
  }
}

function show() {
  wantsFrame = false;
  if (!frame) return;
  if (toSend) {
    say({ kind: "points", points: toSend });
    toSend = null;
  }
  // Said before it is done, so that the program makes the next picture meanwhile.
  say({ kind: "drawn", frame: frame.number });
  draw();
  figures();
  count();
  keepAddress();
}

function draw() {
  const picture = frame?.picture;
  drawPlane(canvases.plane, picture, points, version, document.activeElement === canvases.plane ? cross : null);
  drawSpace(canvases.space, picture, points, settings.features);
  units = drawNetwork(canvases.network, picture);
  const shows = Boolean(picture?.view.layer);
  for (const axis of ["across", "up"]) {
    el(`unit-${axis}`).parentElement.hidden = !shows;
    if (shows) drawUnit(el(`unit-${axis}`), picture, picture.view.layer, picture.view[axis]);
  }
  if (frame) drawLoss(canvases.loss, frame.curve, el("log").checked, settings.classifier === "knn" ? "Neighbours minimise nothing." : "");
}

function figures() {
  const { picture } = frame;
  el("steps").textContent = frame.steps.toLocaleString("en");
  el("epochs").textContent = frame.trains ? frame.epochs < 10 ? frame.epochs.toFixed(1) : Math.round(frame.epochs).toLocaleString("en") : "–";
  el("loss-now").textContent = Number.isFinite(picture?.loss) ? short(picture.loss) : "–";
  el("right").textContent = picture ? `${(100 * picture.accuracy).toFixed(1)} %` : "–";
  el("n-weights").textContent = picture ? picture.n_weights.toLocaleString("en") : "–";
  el("run").textContent = frame.running || frame.goal !== null ? "Pause" : "Run";
  for (const id of ["run", "step", "epoch", "reset"]) el(id).disabled = !frame.trains;
  fillView(picture);
  if (picture) describe(picture);
}

function count() {
  const now = performance.now();
  drawnAt.push(now);
  while (drawnAt[0] < now - 1000) drawnAt.shift();
  el("fps").textContent = frame.running ? String(drawnAt.length) : "–";
}

// ---- the space and its units

function options(select, names, chosen) {
  const text = names.join("\n");
  if (select.dataset.names !== text) {
    select.dataset.names = text;
    select.replaceChildren(...names.map((name, i) => new Option(name, i)));
  }
  if (document.activeElement !== select || select.value === "") select.value = chosen;
}

function fillView(picture) {
  if (!picture) return;
  const { layers, view } = picture;
  options(el("layer"), layers.map(({ name }) => name), view.layer);
  const names = view.layer === 0 ? layers[0].name.slice(-4).split(", ")
    : Array.from({ length: layers[view.layer].units }, (_, i) => (view.layer === layers.length - 1 ? `class ${i + 1}` : `unit ${i + 1}`));
  options(el("across"), names.map((name) => `→ ${name}`), view.across);
  options(el("up"), names.map((name) => `↑ ${name}`), view.up);
  el("space-note").textContent = view.layer === 0
    ? "What the classifier is given: a linear one divides this space by straight lines."
    : "The plane's mesh after this layer, colored as the classifier decides there.";
}

function chooseView(layer, across, up) {
  say({ kind: "view", view: { layer, across, up } });
}

// The weights of the unit across, or of every class where there is one layer only.
let described = 0;
function describe(picture) {
  const now = performance.now();
  if (frame.running && now - described < 250) return;
  described = now;
  const layers = weightLayers(picture);
  const { layer, across } = picture.view;
  const names = picture.layers[0].name.slice(-4).split(", ");
  const term = (w, name, i) => `${i || w < 0 ? (w < 0 ? " − " : " + ") : ""}${short(Math.abs(w))} ${name}`;
  const sum = (l, unit) => {
    const inputs = Array.from(layers[l].w.subarray(unit * layers[l].in, (unit + 1) * layers[l].in));
    const named = inputs.map((w, i) => term(w, l === 0 ? names[i] : `h${i + 1}`, i)).join("");
    return `${named}${term(layers[l].b[unit], "", 1).trimEnd()}`;
  };
  const text = layers.length === 0 ? "Neighbours have no weights: the points themselves decide."
    : layers.length === 1 ? Array.from({ length: layers[0].out }, (_, c) => `Score of class ${c + 1} = ${sum(0, c)}`).join("; ")
    : layer === 0 ? ""
    : `${layer === layers.length ? `Score of class ${across + 1}` : `Unit ${across + 1} of ${picture.layers[layer].name}, before its activation,`} = ${sum(layer - 1, across)}`;
  el("unit").textContent = text;
}

el("layer").onchange = () => chooseView(Number(el("layer").value), 0, Number(el("layer").value) < frame.picture.layers.length && frame.picture.layers[el("layer").value].units > 1 ? 1 : 0);
for (const id of ["across", "up"]) {
  el(id).onchange = () => chooseView(frame.picture.view.layer, Number(el("across").value), Number(el("up").value));
}
canvases.network.onclick = (event) => {
  const near = units.find(({ x, y, size }) => Math.abs(event.offsetX - x) <= size / 2 + 2 && Math.abs(event.offsetY - y) <= size / 2 + 2);
  if (!near || !frame?.picture) return;
  const { view, layers } = frame.picture;
  const other = near.layer === view.layer ? (event.shiftKey ? view.across : view.up) : Math.min(near.unit ? 0 : 1, layers[near.layer].units - 1);
  event.shiftKey ? chooseView(near.layer, other, near.unit) : chooseView(near.layer, near.unit, other);
};

// ---- points

// Takes other points, from here or from the program.
function change(others, ours = true) {
  if (ours) {
    preset = null;
    toSend = others;
  }
  points = others;
  version++;
  if (!wantsFrame) {
    wantsFrame = true;
    requestAnimationFrame(show);
  }
}

function edit(others) {
  past.push({ points, preset });
  if (past.length > 100) past.shift();
  tell("");
  change(others);
}

const rounded = (v) => Math.round(Math.max(-REACH, Math.min(REACH, v)) * 1000) / 1000;

function nearest(x, y, within) {
  let [best, distance] = [-1, within];
  points.forEach(([px, py], i) => {
    const d = Math.hypot(px - x, py - y);
    if (d <= distance) [best, distance] = [i, d];
  });
  return best;
}

function place(event) {
  const { clientWidth, clientHeight } = canvases.plane;
  return [rounded((event.offsetX / clientWidth * 2 - 1) * REACH), rounded((1 - event.offsetY / clientHeight * 2) * REACH)];
}

function put([x, y], c) {
  if (points.length < 5000) edit([...points, [x, y, c]]);
  else tell("5,000 points are as many as there can be.", true);
}

function takeAway(at, within) {
  const found = nearest(...at, within);
  if (found >= 0) edit(points.filter((_, i) => i !== found));
}

let dragged = -1;
canvases.plane.onpointerdown = (event) => {
  const at = place(event);
  const pixel = 2 * REACH / canvases.plane.clientWidth;
  cross = null;
  if (event.button === 2 || event.ctrlKey || brush === 4) return takeAway(at, 24 * pixel);
  if (event.button !== 0) return;
  const found = nearest(...at, (event.pointerType === "touch" ? 14 : 7) * pixel);
  if (found >= 0 && !event.shiftKey) {
    dragged = found;
    past.push({ points, preset });
    canvases.plane.setPointerCapture(event.pointerId);
  } else put(at, event.shiftKey ? (brush + 1) % Math.max(2, frame?.n_classes ?? 2) : brush);
};
canvases.plane.onpointermove = (event) => {
  if (dragged < 0) return;
  const [x, y] = place(event);
  change(points.map((point, i) => (i === dragged ? [x, y, point[2]] : point)));
};
canvases.plane.onpointerup = canvases.plane.onpointercancel = () => { dragged = -1; };
canvases.plane.oncontextmenu = (event) => event.preventDefault();

canvases.plane.onkeydown = (event) => {
  const far = event.shiftKey ? 0.05 : 0.25;
  const moves = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, far], ArrowDown: [0, -far] };
  const at = cross ?? [0, 0];
  if (moves[event.key]) cross = [rounded(at[0] + moves[event.key][0]), rounded(at[1] + moves[event.key][1])];
  else if (event.key === "Enter") brush === 4 ? takeAway(at, 0.6) : put(at, brush);
  else if (event.key === "Delete" || event.key === "Backspace") takeAway(at, 0.6);
  else return;
  event.preventDefault();
  cross ??= at;
  draw();
};
canvases.plane.onfocus = () => {
  if (canvases.plane.matches(":focus-visible")) cross ??= [0, 0];
  draw();
};
canvases.plane.onblur = () => draw();

function undo() {
  const before = past.pop();
  if (!before) return;
  change(before.points);
  preset = before.preset;
}
el("undo").onclick = undo;
el("clear").onclick = () => edit([]);

function makeBrushes() {
  const shapes = ['<circle cx="8" cy="8" r="6"/>', '<rect x="2.5" y="2.5" width="11" height="11"/>', '<path d="M8 1.5 14.5 13.5H1.5Z"/>', '<path d="M8 1 15 8 8 15 1 8Z"/>'];
  const eraser = '<path d="M3 3 13 13M13 3 3 13" stroke="currentColor" stroke-width="2.4"/>';
  el("brushes").insertAdjacentHTML("beforeend", [0, 1, 2, 3, 4].map((i) => `<label><input type="radio" name="brush" value="${i}" ${i ? "" : "checked"}>
    <svg viewBox="0 0 16 16" aria-hidden="true" fill="var(--class${i})">${shapes[i] ?? eraser}</svg>${i < 4 ? i + 1 : "erase"}</label>`).join(""));
  el("brushes").onchange = (event) => { brush = Number(event.target.value); };
}

function chooseBrush(i) {
  brush = i;
  el("brushes").querySelector(`[value="${i}"]`).checked = true;
}

// Whether a field holds a number within its range; tells what is wrong otherwise.
function isNumber(field) {
  const name = field.labels[0].textContent.trim();
  if (Number.isNaN(field.valueAsNumber)) tell(`${name}: a number is needed here.`, true);
  else if (field.validity.rangeUnderflow || field.validity.rangeOverflow || field.step === "1" && field.validity.stepMismatch) tell(`${name}: ${field.validationMessage}`, true);
  else return true;
  return false;
}

el("make").onclick = makePreset;
el("preset").onchange = makePreset;
for (const key of ["points", "classes", "noise"]) el(`preset-${key}`).onchange = makePreset;
function makePreset() {
  const number = (key) => el(`preset-${key}`).valueAsNumber;
  if (!["points", "classes", "noise"].every((key) => isNumber(el(`preset-${key}`)))) return;
  const wanted = { name: el("preset").value, points: number("points"), classes: number("classes"), noise: number("noise"), seed: settings.seed };
  awaited = wanted;
  tell("");
  say({ kind: "preset", preset: wanted });
}

el("csv").onchange = async () => {
  const [file] = el("csv").files;
  el("csv").value = "";
  if (file) load(file);
};
async function load(file) {
  if (file.size > 900_000) return tell(`${file.name} is too large: 900,000 bytes are as much as is read.`, true);
  awaited = null;
  say({ kind: "csv", text: await file.text() });
}
canvases.plane.ondragover = (event) => event.preventDefault();
canvases.plane.ondrop = (event) => {
  event.preventDefault();
  const [file] = event.dataTransfer.files;
  if (file) load(file);
};
el("save").onclick = () => {
  const text = ["x,y,class", ...points.map(([x, y, c]) => `${x},${y},${c + 1}`)].join("\n") + "\n";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = "points.csv";
  link.click();
  URL.revokeObjectURL(link.href);
};

// ---- settings

const RECIPES = {
  softmax: { classifier: "linear", features: "plane", loss: "softmax" },
  svm: { classifier: "linear", features: "plane", loss: "weston-watkins" },
  "polar-svm": { classifier: "linear", features: "polar", loss: "weston-watkins" },
  knn: { classifier: "knn", features: "plane" },
  mlp: { classifier: "mlp", features: "plane", loss: "softmax" },
};

function recipe() {
  if (settings.classifier !== "linear") return settings.classifier;
  if (settings.loss === "softmax") return "softmax";
  return settings.features === "polar" ? "polar-svm" : "svm";
}

function fillForm() {
  el("recipe").value = recipe();
  for (const field of form.elements) {
    if (field.name && field !== document.activeElement) {
      const value = settings[field.name];
      field.value = Array.isArray(value) ? value.join(", ") : value;
    }
  }
  for (const label of form.querySelectorAll("[data-for]")) label.hidden = !label.dataset.for.split(" ").includes(settings.classifier);
}

function ask(others) {
  const wanted = { ...settings, ...others };
  if (wanted.classifier === "linear") wanted.optimiser = "sgd";
  tell("");
  say({ kind: "settings", settings: wanted });
}

el("recipe").onchange = () => ask(RECIPES[el("recipe").value]);
form.onsubmit = (event) => event.preventDefault();
form.onchange = ({ target }) => {
  if (!target.name) return;
  if (target.name === "hidden") {
    const numbers = target.value.split(/[\s,;-]+/).filter(Boolean).map(Number);
    if (numbers.some((n) => !Number.isInteger(n) || n < 1)) return tell("Hidden units are whole numbers above 0 with commas between them.", true);
    return ask({ hidden: numbers });
  }
  if (target.type !== "number") return ask({ [target.name]: target.value });
  if (!isNumber(target)) return;
  ask({ [target.name]: target.valueAsNumber });
};

// ---- training

const pace = () => Number(el("pace").value);
function toggle() {
  say(frame?.running || frame?.goal != null ? { kind: "pause" } : { kind: "run", pace: pace() });
}
el("run").onclick = toggle;
el("step").onclick = () => say({ kind: "step", steps: 1 });
el("epoch").onclick = () => say({ kind: "step", steps: Math.max(1, Math.ceil(points.length / settings.batch)) });
el("reset").onclick = () => say({ kind: "reset" });
el("pace").onchange = () => { if (frame?.running) say({ kind: "run", pace: pace() }); };
el("log").onchange = draw;

document.addEventListener("keydown", (event) => {
  const writes = ["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName) && event.target.type !== "radio";
  if (event.ctrlKey || event.metaKey || event.altKey) {
    if (event.key === "z" && !writes) undo();
    return;
  }
  if (writes || (event.target.tagName === "BUTTON" || event.target.tagName === "SUMMARY") && event.key === " ") return;
  if (event.key === " ") toggle();
  else if (event.key === ".") el("step").click();
  else if (event.key === "r") el("reset").click();
  else if ("1234".includes(event.key)) chooseBrush(Number(event.key) - 1);
  else return;
  event.preventDefault();
});

// ---- the address

function stateNow() {
  if (!frame) return fromLink(location.hash.slice(1));
  const linked = frame.replayable || !frame.linkable ? undefined : frame.picture?.weights;
  const state = { settings, view: frame.picture?.view, steps: frame.replayable || linked ? frame.steps : 0, weights: linked };
  return preset ? { preset, ...state } : { points, ...state };
}

let kept = 0;
let keeping = null;
function keepAddress() {
  const wait = Math.max(0, kept + 500 - performance.now());
  keeping ??= setTimeout(() => {
    [keeping, kept] = [null, performance.now()];
    // While points are on their way to the program, a picture is of others.
    if (frame && !toSend && frame.n_points === points.length) history.replaceState(null, "", `#${toLink(stateNow())}`);
  }, wait);
}

el("share").onclick = async () => {
  if (!frame) return;
  const link = `${location.origin}/#${toLink(stateNow())}`;
  history.replaceState(null, "", link);
  try {
    await navigator.clipboard.writeText(link);
    tell(frame.replayable || frame.linkable ? "The link is copied: it opens this very state."
      : "The link is copied. The network is too large for its weights to be in it: training begins anew there.");
  } catch {
    tell("The address of this page is the link.");
  }
};

function open(runs) {
  let state;
  try {
    state = fromLink(location.hash.slice(1));
  } catch (error) {
    tell(`This link cannot be opened: ${error.message}.`, true);
    state = { settings: structuredClone(DEFAULTS), ...structuredClone(FIRST) };
  }
  awaited = state.preset ?? null;
  if (awaited) {
    el("preset").value = awaited.name;
    for (const key of ["points", "classes", "noise"]) el(`preset-${key}`).value = awaited[key];
  }
  if (socket?.readyState === WebSocket.OPEN) say({ kind: "open", ...state });
  else connect(state, runs);
}
window.addEventListener("hashchange", () => open(false));

// ---- beginning

makeBrushes();
readTheme();
fillForm();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  readTheme();
  draw();
});
new ResizeObserver(draw).observe(document.querySelector("main"));
open(location.hash.length < 2);
