// Pictures on canvases, in the theme's colors.

const REACH = 5;
const theme = {};

function readTheme() {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(`--${name}`).trim();
  for (const name of ["paper", "surface", "ink", "muted", "line", "accent", "plus", "minus"]) theme[name] = color(name);
  theme.classes = [0, 1, 2, 3].map((i) => color(`class${i}`));
  const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  const [paper, plus, minus] = [theme.paper, theme.plus, theme.minus].map(rgb);
  const mixed = (from, to, share) => from.map((v, i) => Math.round(v + (to[i] - v) * share));
  const opaque = ([r, g, b]) => (255 << 24 | b << 16 | g << 8 | r) >>> 0;
  // Paler where the classifier is less sure, so that a boundary shows as a pale seam.
  theme.regions = Uint32Array.from({ length: 256 }, (_, byte) =>
    opaque(mixed(paper, rgb(theme.classes[byte >> 6]), 0.1 + 0.5 * (byte & 63) / 63)));
  theme.signed = Uint32Array.from({ length: 256 }, (_, byte) =>
    opaque(mixed(paper, byte < 128 ? minus : plus, Math.min(1, Math.abs(byte - 128) / 127) * 0.9)));
}

// The canvas in its own pixels, cleared: [context, width, height] in CSS pixels.
function cleared(canvas) {
  const scale = Math.min(window.devicePixelRatio || 1, 2);
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const [w, h] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const context = canvas.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, w, h);
  context.setTransform(w / Math.max(1, width), 0, 0, h / Math.max(1, height), 0, 0);
  return [context, width, height];
}

// A picture of one byte a cell, as a canvas to be drawn from.
const cellCanvases = new Map();
function cells(name, bytes, width, height, colors) {
  let canvas = cellCanvases.get(name);
  if (!canvas) cellCanvases.set(name, canvas = document.createElement("canvas"));
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i++) pixels[i] = colors[bytes[i]];
  context.putImageData(image, 0, 0);
  return canvas;
}

// Each class has a shape of its own besides its color.
function mark(path, shape, x, y, r) {
  if (shape === 0) {
    path.moveTo(x + r, y);
    path.arc(x, y, r, 0, 2 * Math.PI);
  } else if (shape === 1) path.rect(x - 0.88 * r, y - 0.88 * r, 1.76 * r, 1.76 * r);
  else {
    const corners = shape === 2 ? [[0, -1.2], [1.1, 0.8], [-1.1, 0.8]] : [[0, -1.25], [1.25, 0], [0, 1.25], [-1.25, 0]];
    corners.forEach(([dx, dy], i) => path[i ? "lineTo" : "moveTo"](x + dx * r, y + dy * r));
    path.closePath();
  }
}

function drawMarks(context, points, at, r) {
  context.lineWidth = Math.min(1.2, r / 3);
  context.strokeStyle = theme.paper;
  for (let shape = 0; shape < 4; shape++) {
    const path = new Path2D();
    points.forEach(([, , c], i) => { if (c === shape) mark(path, shape, ...at(i), r); });
    context.fillStyle = theme.classes[shape];
    context.fill(path);
    context.stroke(path);
  }
}

const radius = (n, width) => Math.max(2.2, Math.min(5.2, width / 85 * Math.min(1, Math.sqrt(350 / Math.max(n, 1)))));

// The points of the plane are drawn once, and again when they, the size or the theme change.
const pointLayer = { canvas: document.createElement("canvas"), key: null };
function drawPlane(canvas, picture, points, version, cross) {
  const [context, width, height] = cleared(canvas);
  if (picture) {
    context.imageSmoothingEnabled = true;
    context.drawImage(cells("regions", bytes(picture.regions), picture.side, picture.side, theme.regions), 0, 0, width, height);
  }
  const [px, py] = [(x) => (x / REACH + 1) / 2 * width, (y) => (1 - y / REACH) / 2 * height];
  context.strokeStyle = theme.muted;
  context.globalAlpha = 0.35;
  context.lineWidth = 1;
  context.strokeRect(px(0), -1, 0, height + 2);
  context.strokeRect(-1, py(0), width + 2, 0);
  context.globalAlpha = 1;
  const key = [version, canvas.width, canvas.height, theme.paper].join();
  if (pointLayer.key !== key) {
    pointLayer.key = key;
    Object.assign(pointLayer.canvas, { width: canvas.width, height: canvas.height });
    const layer = pointLayer.canvas.getContext("2d");
    layer.setTransform(canvas.width / width, 0, 0, canvas.height / height, 0, 0);
    drawMarks(layer, points, (i) => [px(points[i][0]), py(points[i][1])], radius(points.length, width));
  }
  context.drawImage(pointLayer.canvas, 0, 0, width, height);
  if (cross) {
    const [x, y] = [px(cross[0]), py(cross[1])];
    for (const [color, lineWidth] of [[theme.paper, 4], [theme.ink, 1.6]]) {
      Object.assign(context, { strokeStyle: color, lineWidth });
      context.beginPath();
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(x + 4 * dx, y + 4 * dy);
        context.lineTo(x + 12 * dx, y + 12 * dy);
      }
      context.stroke();
    }
  }
}

const short = (v) => (v === 0 ? "0" : Math.abs(v) >= 1000 || Math.abs(v) < 0.01 ? v.toExponential(1) : String(Number(v.toPrecision(3)))).replaceAll("-", "−");

function drawSpace(canvas, picture, points, features) {
  const [context, width, height] = cleared(canvas);
  if (!picture) return;
  const [n, stride, mesh] = [picture.mesh_side, picture.mesh_stride, places(picture.mesh)];
  const margin = 22;
  const x = (share) => margin + share * (width - 2 * margin);
  const y = (share) => height - margin - share * (height - 2 * margin);
  const regions = bytes(picture.regions);
  // The angle jumps where y changes its sign on the left: what lies beyond is no neighbour.
  const torn = (row, column) => features === "polar" && row === n / 2 - 1 && column < n / 2;
  const node = (path, k, first) => path[first ? "moveTo" : "lineTo"](x(mesh[2 * k]), y(mesh[2 * k + 1]));
  const patches = [0, 1, 2, 3].map(() => new Path2D());
  for (let row = 0; row + 1 < n; row++) {
    for (let column = 0; column + 1 < n; column++) {
      if (torn(row, column)) continue;
      const middle = Math.floor((row + 0.5) * stride) * picture.side + Math.floor((column + 0.5) * stride);
      const patch = patches[regions[middle] >> 6];
      const k = row * n + column;
      [k, k + 1, k + n + 1, k + n].forEach((corner, i) => node(patch, corner, i === 0));
      patch.closePath();
    }
  }
  context.globalAlpha = 0.24;
  patches.forEach((patch, c) => {
    context.fillStyle = theme.classes[c];
    context.fill(patch);
  });
  const lines = new Path2D();
  for (let i = 0; i < n; i += 1) {
    for (let j = 0; j < n; j++) node(lines, i * n + j, j === 0);
    for (let j = 0; j < n; j++) node(lines, j * n + i, j === 0 || torn(j - 1, i));
  }
  context.globalAlpha = 0.4;
  Object.assign(context, { strokeStyle: theme.muted, lineWidth: 0.7 });
  context.stroke(lines);
  context.globalAlpha = 1;
  const there = places(picture.points);
  if (there.length === 2 * points.length)
    drawMarks(context, points, (i) => [x(there[2 * i]), y(there[2 * i + 1])], radius(points.length, width) * 0.9);
  const [left, right, low, high] = picture.range.map(short);
  Object.assign(context, { fillStyle: theme.muted, font: "12px system-ui, sans-serif", textBaseline: "alphabetic", textAlign: "left" });
  context.fillText(left, margin, height - 7);
  context.textAlign = "right";
  context.fillText(right, width - margin, height - 7);
  for (const [text, share, align] of [[low, 0, "left"], [high, 1, "right"]]) {
    context.save();
    context.translate(14, y(share));
    context.rotate(-Math.PI / 2);
    context.textAlign = align;
    context.fillText(text, 0, 0);
    context.restore();
  }
}

// Where the network's units are drawn: [{ layer, unit, x, y, size }].
function unitPlaces(layers, width, height) {
  const found = [];
  const step = (width - 60) / Math.max(1, layers.length - 1);
  layers.forEach(({ units }, layer) => {
    const room = (height - 26) / units;
    const size = Math.max(3, Math.min(34, room * 0.86, step * 0.5));
    for (let unit = 0; unit < units; unit++)
      found.push({ layer, unit, size, x: 30 + layer * step, y: 22 + (height - 26) / 2 + (unit - (units - 1) / 2) * Math.min(room, size * 1.35) });
  });
  return found;
}

// Weights of the layers: [{ out, in, w, b }] with w row-major.
function weightLayers(picture) {
  const numbers = floats(picture.weights);
  let at = 0;
  if (!numbers.length) return [];
  return picture.layers.slice(1).map(({ units }, i) => {
    const before = picture.layers[i].units;
    const w = numbers.subarray(at, at + units * before);
    const b = numbers.subarray(at + w.length, at + w.length + units);
    at += w.length + units;
    return { out: units, in: before, w, b };
  });
}

function drawWeights(context, layers, at) {
  layers.forEach((layer, l) => {
    const greatest = layer.w.reduce((most, w) => Math.max(most, Math.abs(w)), 1e-12);
    // Of many weights only the strong are drawn: a thicket says nothing, and takes long.
    const least = Math.min(0.75, 0.05 + layer.w.length / 1000);
    const paths = new Map();
    layer.w.forEach((w, i) => {
      const strength = Math.abs(w) / greatest;
      if (!(strength >= least)) return;
      const key = Math.sign(w) * Math.ceil(strength * 4);
      if (!paths.has(key)) paths.set(key, new Path2D());
      const [from, to] = [at(l, i % layer.in), at(l + 1, Math.floor(i / layer.in))];
      const bend = (to.x - from.x) * 0.4;
      paths.get(key).moveTo(from.x + from.size / 2, from.y);
      paths.get(key).bezierCurveTo(from.x + from.size / 2 + bend, from.y, to.x - to.size / 2 - bend, to.y, to.x - to.size / 2, to.y);
    });
    for (const [key, path] of paths) {
      context.strokeStyle = key > 0 ? theme.plus : theme.minus;
      context.globalAlpha = 0.12 + 0.15 * Math.abs(key);
      context.lineWidth = 0.4 + 0.45 * Math.abs(key);
      context.stroke(path);
    }
    context.globalAlpha = 1;
  });
}

function drawNetwork(canvas, picture) {
  const [context, width, height] = cleared(canvas);
  if (!picture) return [];
  const units = unitPlaces(picture.layers, width, height);
  const starts = picture.layers.map((_, l) => picture.layers.slice(0, l).reduce((sum, layer) => sum + layer.units, 0));
  const at = (layer, unit) => units[starts[layer] + unit];
  drawWeights(context, weightLayers(picture), at);
  const [side, raw] = [picture.unit_side, bytes(picture.units)];
  const count = raw.length / (side * side);
  const atlas = cells("units", raw, side, side * count, theme.signed);
  Object.assign(context, { font: "12px system-ui, sans-serif", textAlign: "center", textBaseline: "middle", imageSmoothingEnabled: true });
  const { view } = picture;
  units.forEach(({ layer, unit, x, y, size }, i) => {
    const [left, top] = [x - size / 2, y - size / 2];
    if (layer === 0) {
      context.fillStyle = theme.surface;
      context.fillRect(left, top, size, size);
      context.fillStyle = theme.ink;
      context.fillText(picture.layers[0].name.slice(-4).split(", ")[unit] ?? "", x, y + 1);
    } else context.drawImage(atlas, 0, (i - picture.layers[0].units) * side, side, side, left, top, size, size);
    const chosen = layer === view.layer && (unit === view.across || unit === view.up);
    Object.assign(context, { strokeStyle: chosen ? theme.ink : theme.line, lineWidth: chosen ? 2 : 1 });
    context.strokeRect(left, top, size, size);
    if (chosen && size >= 9) {
      // Where no weights are, at the left of the features.
      const side = layer === 0 ? -1 : 1;
      context.textAlign = side < 0 ? "right" : "left";
      context.fillStyle = theme.ink;
      const axes = [unit === view.across ? "→" : "", unit === view.up ? "↑" : ""].join("");
      context.fillText(axes, x + side * (size / 2 + (side < 0 ? 1 : 3)), y);
      context.textAlign = "center";
    }
  });
  context.fillStyle = theme.muted;
  picture.layers.forEach(({ name }, l) => {
    context.textAlign = l === 0 ? "left" : l === picture.layers.length - 1 ? "right" : "center";
    const x = l === 0 ? 8 : l === picture.layers.length - 1 ? width - 8 : at(l, 0).x;
    const text = l === 0 ? "features" : picture.layers.length > 5 ? name.replace("hidden ", "") : name;
    context.fillText(text, x, 11);
  });
  return units;
}

// What one unit answers over the plane: blue above 0, orange below, as a share of its greatest answer.
function drawUnit(canvas, picture, layer, unit) {
  const [context, width, height] = cleared(canvas);
  const side = picture.unit_side;
  const before = picture.layers.slice(1, layer).reduce((sum, { units }) => sum + units, 0);
  context.imageSmoothingEnabled = true;
  context.drawImage(cellCanvases.get("units"), 0, (before + unit) * side, side, side, 0, 0, width, height);
}

function drawLoss(canvas, curve, logarithmic, without) {
  const [context, width, height] = cleared(canvas);
  const means = curve.means.filter((v) => Number.isFinite(v));
  Object.assign(context, { fillStyle: theme.muted, font: "12px system-ui, sans-serif", textBaseline: "middle", textAlign: "left" });
  if (means.length < 2) {
    context.textAlign = "center";
    return context.fillText(without, width / 2, height / 2);
  }
  const scale = logarithmic ? (v) => Math.log10(Math.max(v, 1e-9)) : (v) => v;
  const least = Math.min(...means);
  let [low, high] = [logarithmic ? scale(least) : 0, scale(Math.max(...means))];
  if (high - low < 1e-6) [low, high] = [low - 0.5, high + 0.5];
  const [left, right, top, bottom] = [54, width - 10, 10, height - 20];
  const x = (i) => left + i / (means.length - 1) * (right - left);
  const y = (v) => bottom - (scale(v) - low) / (high - low) * (bottom - top);
  Object.assign(context, { strokeStyle: theme.line, lineWidth: 1 });
  context.textAlign = "right";
  for (const share of [0, 0.5, 1]) {
    const v = low + share * (high - low);
    const line = Math.round(bottom - share * (bottom - top)) + 0.5;
    context.strokeRect(left, line, right - left, 0);
    context.fillText(short(logarithmic ? 10 ** v : v), left - 6, line);
  }
  context.beginPath();
  means.forEach((v, i) => context[i ? "lineTo" : "moveTo"](x(i), y(v)));
  Object.assign(context, { strokeStyle: theme.accent, lineWidth: 1.8, lineJoin: "round" });
  context.stroke();
  context.textAlign = "left";
  context.fillText("step 1", left, height - 8);
  context.textAlign = "right";
  context.fillText((curve.means.length * curve.every).toLocaleString("en"), right, height - 8);
}
