// What is drawn and asked for, as the address after the # holds it.

const DEFAULTS = {
  classifier: "mlp", features: "plane", hidden: [20, 20], activation: "tanh", loss: "softmax", optimiser: "sgd",
  learning_rate: 0.02, momentum: 0.9, l2: 0.0001, l1: 0, batch: 10, neighbours: 5, distance: "l2", seed: 1,
};
const WORDS = ["classifier", "features", "activation", "loss", "optimiser", "distance"];
const FIRST = { preset: { name: "spiral", points: 300, classes: 2, noise: 0.1, seed: 1 } };

// A point is 30 bits: 2 of its class, 14 each of its coordinates in thousandths from the plane's lower left.
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

function packPoints(points) {
  return points.map(([x, y, c]) => {
    const bits = c * 2 ** 28 + (Math.round(x * 1000) + 5000) * 2 ** 14 + Math.round(y * 1000) + 5000;
    return [24, 18, 12, 6, 0].map((shift) => DIGITS[Math.floor(bits / 2 ** shift) % 64]).join("");
  }).join("");
}

function unpackPoints(text) {
  if (text.length % 5 || [...text].some((digit) => !DIGITS.includes(digit))) throw new Error("its points are damaged");
  return (text.match(/.{5}/g) ?? []).map((five) => {
    const bits = [...five].reduce((sum, digit) => sum * 64 + DIGITS.indexOf(digit), 0);
    const coordinate = (value) => (value - 5000) / 1000;
    return [coordinate(Math.floor(bits / 2 ** 14) % 2 ** 14), coordinate(bits % 2 ** 14), Math.floor(bits / 2 ** 28)];
  });
}

// The whole state as the part of an address after its #. What is as by default is left out.
function toLink({ points, preset, settings, view, steps, weights }) {
  const parts = [];
  if (preset) parts.push(["preset", [preset.name, preset.points, preset.classes, preset.noise, preset.seed].join(",")]);
  else parts.push(["points", packPoints(points)]);
  for (const [name, value] of Object.entries(settings)) {
    const text = Array.isArray(value) ? value.join(",") || "none" : String(value);
    if (text !== String(DEFAULTS[name])) parts.push([name, text]);
  }
  if (view) parts.push(["view", [view.layer, view.across, view.up].join(",")]);
  if (steps) parts.push(["steps", steps]);
  if (weights) parts.push(["weights", weights.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")]);
  return parts.map(([name, value]) => `${name}=${value}`).join("&");
}

// The state of a link; throws an error with words for people where it cannot be read. Ranges are checked by the program.
function fromLink(link) {
  const state = { settings: structuredClone(DEFAULTS) };
  const number = (text) => {
    if (text.trim() === "" || !Number.isFinite(Number(text))) throw new Error(`“${text}” is no number`);
    return Number(text);
  };
  for (const part of link.split("&").filter(Boolean)) {
    const at = part.indexOf("=");
    const [name, value] = [part.slice(0, at), decodeURIComponent(part.slice(at + 1))];
    if (name === "preset") {
      const [preset, ...numbers] = value.split(",");
      const [points, classes, noise, seed] = numbers.map(number);
      state.preset = { ...FIRST.preset, name: preset };
      for (const [key, given] of Object.entries({ points, classes, noise, seed })) if (given !== undefined) state.preset[key] = given;
    } else if (name === "points") state.points = unpackPoints(value);
    else if (name === "hidden") state.settings.hidden = value === "none" ? [] : value.split(",").map(number);
    else if (WORDS.includes(name)) state.settings[name] = value;
    else if (name in DEFAULTS) state.settings[name] = number(value);
    else if (name === "view") {
      const [layer, across, up] = value.split(",").map(number);
      state.view = { layer, across, up };
    } else if (name === "steps") state.steps = number(value);
    else if (name === "weights") {
      const plain = value.replaceAll("-", "+").replaceAll("_", "/");
      state.weights = plain.padEnd(Math.ceil(plain.length / 4) * 4, "=");
    } else throw new Error(`it has a part “${name}” that is not known`);
  }
  if (!state.points && !state.preset) state.preset = structuredClone(FIRST.preset);
  return state;
}

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

// Pairs of u16 as shares from 0 to 1.
function places(text) {
  const raw = new DataView(bytes(text).buffer);
  return Float32Array.from({ length: raw.byteLength / 2 }, (_, i) => raw.getUint16(2 * i, true) / 65535);
}

// f32 in little-endian order.
function floats(text) {
  const raw = new DataView(bytes(text).buffer);
  return Float32Array.from({ length: raw.byteLength / 4 }, (_, i) => raw.getFloat32(4 * i, true));
}
