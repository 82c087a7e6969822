// The report in a real browser: node .ci/report.mjs MODULES WORK BAKEOFF
//
// MODULES is the folder that .ci/browser printed, WORK a folder for data and runs, BAKEOFF the program. A run with hostile names,
// failures, several seeds and sizes is made and looked at: wide and narrow, light and dark, printed, without JavaScript, by keyboard, by axe.

import { spawn, spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { check, launch, watched } from "./browser.mjs";

const [modules, work, bakeoff] = process.argv.slice(2);
const room = path.join(work, "pages");
fs.mkdirSync(room, { recursive: true });
const axe = fs.readFileSync(createRequire(`${modules}/`).resolve("axe-core/axe.min.js"), "utf8");

const attack = "<script>alert(1)</script>";
const classes = [attack, 'quo"te & \' <b>bold</b>', "שלום עולם", "plain"];

/** Numbers from 0 to below 1 that are the same in every run. */
function random(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Records of CIFAR's layout: a square in the corner of the class, in a colour of its own, on noise. Some labels are wrong. */
function batch(n, seed, wrong) {
  const next = random(seed);
  const records = [];
  for (let i = 0; i < n; i++) {
    const label = i % classes.length;
    const shown = wrong && i % 29 === 7 ? (label + 1) % classes.length : label;
    const record = Buffer.alloc(3073);
    record[0] = label;
    const [top, left] = [shown >> 1 ? 18 : 4, shown & 1 ? 18 : 4];
    for (let y = 0; y < 32; y++) {
      for (let x = 0; x < 32; x++) {
        const inside = y >= top && y < top + 10 && x >= left && x < left + 10;
        for (let c = 0; c < 3; c++) {
          record[1 + c * 1024 + y * 32 + x] = 150 * next() + (inside ? (c === shown % 3 ? 80 : 40) : 20);
        }
      }
    }
    records.push(record);
  }
  return records;
}

function data(folder) {
  fs.mkdirSync(folder, { recursive: true });
  const train = batch(400, 1, false);
  const test = batch(160, 2, true);
  // The same image in both parts, under another label.
  train[5] = Buffer.concat([Buffer.from([2]), test[4].subarray(1)]);
  fs.writeFileSync(path.join(folder, "data_batch_1.bin"), Buffer.concat(train));
  fs.writeFileSync(path.join(folder, "test_batch.bin"), Buffer.concat(test));
  fs.writeFileSync(path.join(folder, "batches.meta.txt"), `${classes.join("\n")}\n`);
}

const loud = `<img src=x onerror="alert('x')"> & hog`;
const experiment = `
question = ${JSON.stringify(`Is ${attack} harmless?`)}
dataset = { folder = "shown" }
seeds = 3
train_sizes = [40, 120, 400]
protocol = { tuning = { trials = 3, seconds = 60 } }

[[pipeline]]
name = "pixels-softmax"
features = [{ kind = "pixels" }]
classifier = { kind = "softmax", max_iterations = 30 }

[[pipeline]]
name = ${JSON.stringify(loud)}
features = [{ kind = "hog" }, { kind = "color-histogram" }]
classifier = { kind = "svm", max_iterations = 50 }
[pipeline.search]
"classifier.l2" = { log_uniform = [1e-7, 1e-1] }

[[pipeline]]
name = "hog-svm"
features = [{ kind = "hog" }]
classifier = { kind = "svm", max_iterations = 50 }

[[pipeline]]
name = "mlp-2"
features = [{ kind = "pixels" }]
classifier = { kind = "mlp", hidden = [24], epochs = 6 }
[pipeline.search]
"classifier.learning_rate" = { log_uniform = [1e-3, 0.1] }

[[pipeline]]
name = "words"
features = [{ kind = "kmeans-features", k = 12, samples = 2000, iterations = 5 }]
classifier = { kind = "svm", max_iterations = 50 }

[[pipeline]]
name = "whitened"
features = [{ kind = "pixels" }]
reduce = { kind = "pca", dimensions = 8 }
classifier = { kind = "softmax", max_iterations = 30 }

[[pipeline]]
name = "diverges"
features = [{ kind = "pixels" }]
classifier = { kind = "mlp", hidden = [8], learning_rate = 1e30, epochs = 3 }

[[pipeline]]
name = "refuses"
features = [{ kind = "visual-words", codebook = { k = 100000 } }]
classifier = { kind = "svm" }

[[comparison]]
a = "mlp-2"
b = ${JSON.stringify(loud)}

[[comparison]]
a = "mlp-2"
b = "pixels-softmax"

[[comparison]]
a = "hog-svm"
b = "words"
`;

function call(...args) {
  const done = spawnSync(bakeoff, args, { cwd: room, encoding: "utf8" });
  check(done.status === 0, `bakeoff ${args.join(" ")} ended with ${done.status}:\n${done.stdout}${done.stderr}`);
  return done.stdout;
}

/** What axe calls serious or worse. */
async function faults(page, where) {
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate(() => globalThis.axe.run(document));
  check(passes.length > 10, `${where}: axe looked at nothing`);
  const serious = violations.filter((found) => ["serious", "critical"].includes(found.impact));
  const told = serious.map((found) => `${found.id}: ${found.help}\n    ${found.nodes.map((node) => `${node.html.slice(0, 200)} ${node.failureSummary}`).join("\n    ")}`);
  check(serious.length === 0, `${where}: axe found\n  ${told.join("\n  ")}`);
}

const wide = { width: 1280, height: 900 };
const narrow = { width: 400, height: 800 };

async function opened(browser, file, size, options = {}) {
  const address = pathToFileURL(file).href;
  const seen = await watched(browser, { ...size, ...options }, [address]);
  seen.page.on("dialog", (dialog) => {
    seen.sins.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  await seen.page.goto(address);
  return seen;
}

async function closed({ context, sins }, where) {
  check(sins.length === 0, `${where}:\n${sins.join("\n")}`);
  await context.close();
}

const column = (page, table, place) => page.$$eval(`${table} tbody tr`, (rows, i) => rows.map((row) => row.cells[i]?.textContent.trim()), place);

/** Order of words that must not be lost: the verdict is the first thing that is read. */
async function reads(page) {
  const first = await page.evaluate(() => document.querySelector("header").firstElementChild.className);
  check(first === "verdict", `the first thing in the header is ${first}`);
  const verdict = await page.textContent(".verdict");
  check(/has the highest accuracy on .*%.*interval.*seeds?/.test(verdict), verdict);
  const levels = await page.$$eval("h1, h2, h3, h4", (all) => all.map((heading) => Number(heading.tagName[1])));
  check(levels.filter((level) => level === 1).length === 1, "one heading of level 1");
  check(levels.every((level, i) => i === 0 || level <= levels[i - 1] + 1), `headings skip a level: ${levels}`);
  const titles = await page.$$eval("h2", (all) => all.map((heading) => heading.textContent));
  for (const title of ["Leaderboard", "Comparisons", "Accuracy against cost", "Accuracy against training size", "Classes", "Images",
    "Training curves", "Tuning", "Dataset", "Protocol", "Environment", "How to run it again"]) {
    check(titles.includes(title), `there is no section ${title}: ${titles}`);
  }
  const galleries = await page.$$eval("#pictures h3", (all) => all.map((heading) => heading.textContent));
  for (const title of ["Duplicates", "Gradient histograms", "Dictionary of words", "Whitening of words", "Components of whitened",
    "Learned templates of pixels-softmax", "First layer of mlp-2", "Suspected label errors"]) {
    check(galleries.includes(title), `there are no pictures ${title}: ${galleries}`);
  }
  const mute = await page.$$eval("img, svg[role=img]", (all) => all.filter((one) => !(one.getAttribute("alt") ?? one.getAttribute("aria-label") ?? "").trim()).length);
  check(mute === 0, `${mute} pictures have no text`);
  const broken = await page.$$eval("img", (all) => all.filter((one) => !(one.complete && one.naturalWidth > 0)).length);
  check(broken === 0, `${broken} pictures are broken`);
  const absent = await page.textContent(".leaderboard");
  check(absent.includes("failed") && absent.includes("refused"), "failures are rows of the leaderboard");
}

/** Names stay texts. */
async function harmless(page) {
  check((await page.$$("script")).length === 1, "the page has one script, its own");
  check((await page.$$("header img, table img, b")).length === 0, "names made elements");
  const named = await column(page, "#classes table.matrix", 0);
  check(named[0] === attack && named[1] === classes[1], `classes are called ${named}`);
  check((await column(page, ".leaderboard", 0)).some((text) => text.includes(loud)), "the pipeline's name is no text");
  const ticks = await page.$$eval("svg text", (all) => all.map((one) => one.textContent));
  check(ticks.some((text) => text.startsWith("<script>alert")), "the class's name is no text of a plot");
}

async function sorts(page) {
  const before = await column(page, ".leaderboard", 0);
  const head = page.locator(".leaderboard thead button", { hasText: "accuracy" });
  await head.click();
  check((await page.getAttribute(".leaderboard thead th:nth-child(2)", "aria-sort")) === "descending", "the most accurate first");
  await head.focus();
  await page.keyboard.press("Enter");
  const turned = await column(page, ".leaderboard", 0);
  check((await page.getAttribute(".leaderboard thead th:nth-child(2)", "aria-sort")) === "ascending", "and the least, by keyboard");
  const ranked = before.length - 2;
  check(turned.slice(0, ranked).sort().join() === before.slice(0, ranked).sort().join(), `the same pipelines: ${turned}`);
  check(turned.slice(ranked).sort().join() === before.slice(ranked).sort().join(), `failures stay at the end: ${turned}`);
  const shares = (await column(page, ".leaderboard", 1)).slice(0, ranked).map(parseFloat);
  check(shares[0] < shares[ranked - 1], `accuracies differ: ${shares}`);
  check(shares.every((share, i) => i === 0 || share >= shares[i - 1]), `accuracies go up: ${shares}`);
  // Numbers with commas and times with units are sorted by what they mean.
  const units = { "µs": 1e-6, ms: 1e-3, s: 1, min: 60, h: 3600 };
  const meant = (text) => Number.parseFloat(text.replaceAll(",", "")) * (units[text.split(" ")[1]] ?? 1);
  for (const [name, place] of [["dims", 11], ["in all", 8]]) {
    await page.locator(".leaderboard thead button", { hasText: name }).click();
    const values = (await column(page, ".leaderboard", place)).slice(0, ranked).map(meant);
    check(values[0] > values[ranked - 1], `${name} differ: ${values}`);
    check(values.every((value, i) => i === 0 || value <= values[i - 1]), `${name} go down: ${values}`);
  }
}

async function switches(page) {
  const shown = (name) => page.locator(`#cost .choice.cost-${name}`).isVisible();
  check((await shown("train")) && !(await shown("memory")), "training time is shown first");
  await page.click('label[for="cost-memory"]');
  check(!(await shown("train")) && (await shown("memory")), "a click shows memory");
  await page.focus("#cost-memory");
  await page.keyboard.press("ArrowRight");
  check(!(await shown("memory")) && (await shown("model")), "an arrow shows model size");
  const counts = () => page.locator("table.matrix .count").first().isVisible();
  check(!(await counts()), "shares are shown first");
  await page.click('label[for="matrix-counts"]');
  check(await counts(), "then counts");
}

async function orders(page) {
  const before = await column(page, "#classes table.matrix", 0);
  const diagonal = () => page.$eval("table.matrix", (table) => [...table.tBodies[0].rows].every((row, i) => row.cells[i + 1].classList.contains("right") || !row.cells[i + 1].textContent));
  await page.check("#similar");
  const turned = await column(page, "#classes table.matrix", 0);
  check(turned.slice().sort().join() === before.slice().sort().join(), "the same classes");
  check(await diagonal(), "the diagonal stays the diagonal");
  await page.uncheck("#similar");
  check((await column(page, "#classes table.matrix", 0)).join() === before.join(), "and back");
}

async function hovers(page) {
  const mark = page.locator("#leaderboard .wide svg.plot [data-tip] > .f").last();
  await mark.scrollIntoViewIfNeeded();
  await mark.hover();
  const tip = page.locator(".tip");
  check((await tip.isVisible()) && /%/.test(await tip.textContent()), "what is pointed at is told");
  check((await page.$$("svg.plot.focus .here")).length > 0, "the others step back");
  await page.mouse.move(2, 2);
  check(!(await tip.isVisible()), "and no longer");
}

/** By keyboard alone: the first stop leads to the results, and every stop is seen. */
async function walks(page) {
  await page.keyboard.press("Tab");
  check((await page.evaluate(() => document.activeElement.className)) === "skip", "the first stop leads to the results");
  const stops = new Set();
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(() => {
      const here = document.activeElement;
      // A switch's dot is small: its label shows where one is.
      const shown = here.type === "radio" ? here.nextElementSibling : here;
      const style = getComputedStyle(shown);
      return { name: `${here.tagName} ${here.id || here.textContent.slice(0, 20)}`, outline: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 };
    });
    check(stop.outline, `${stop.name} does not show that one is there`);
    stops.add(stop.name);
  }
  check(stops.size > 20, `60 steps led to ${stops.size} places`);
}

async function prints(page, browser, file) {
  await page.emulateMedia({ media: "print" });
  const pdf = await page.pdf({ preferCSSPageSize: true });
  check(pdf.subarray(0, 5).toString() === "%PDF-" && pdf.length > 50_000, `the PDF has ${pdf.length} bytes`);
  fs.writeFileSync(path.join(room, "report.pdf"), pdf);
  const pages = (pdf.toString("latin1").match(/\/Type\s*\/Page[^s]/g) ?? []).length;
  check(pages >= 4 && pages < 60, `the PDF has ${pages} pages`);
  const hidden = await page.$$eval("#cost .choice", (all) => all.filter((one) => one.offsetParent === null).length);
  check(hidden === 0, "paper shows every cost");
  // A4 on its side is so wide within its margins: what is wider would be cut off, or make everything smaller.
  await page.setViewportSize({ width: 1032, height: 703 });
  const cut = await page.$$eval("table, figure, pre", (all) => all.filter((one) => one.getBoundingClientRect().right > 1033).map((one) => one.textContent.slice(0, 60)));
  check(cut.length === 0, `paper is too narrow for ${cut}`);
  await page.setViewportSize(wide);
  await page.emulateMedia({ media: null });
}

async function fits(page, where) {
  const long = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  check(long <= 0, `${where}: the page is ${long} pixels too wide`);
}

async function withoutScript(browser, file) {
  const seen = await opened(browser, file, wide, { javaScriptEnabled: false });
  const { page } = seen;
  const shown = (name) => page.locator(`#cost .choice.cost-${name}`).isVisible();
  await page.click('label[for="cost-model"]');
  check(!(await shown("train")) && (await shown("model")), "without JavaScript the costs switch");
  check(await page.locator(".leaderboard tbody tr").first().isVisible(), "and the leaderboard is there");
  check(!(await page.locator("label.needs-script").first().isVisible()), "what needs JavaScript is not offered");
  check((await page.locator("svg.plot title").count()) > 10, "marks have titles");
  await closed(seen, "without JavaScript");
}

/** A picture for people, where they want one. */
async function pictured(page, name) {
  if (process.env.PICTURES) await page.screenshot({ path: path.join(process.env.PICTURES, `${name}.png`), fullPage: true });
}

async function looksAt(browser, file, name) {
  const papers = {};
  for (const colorScheme of ["light", "dark"]) {
    for (const [width, size] of Object.entries({ wide, narrow })) {
      const where = `${name}, ${width}, ${colorScheme}`;
      const seen = await opened(browser, file, size, { colorScheme });
      await fits(seen.page, where);
      await pictured(seen.page, `${name}-${width}-${colorScheme}`);
      papers[colorScheme] = await seen.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      await seen.page.$$eval("details", (all) => all.forEach((one) => { one.open = true; }));
      await fits(seen.page, `${where}, unfolded`);
      await faults(seen.page, where);
      await closed(seen, where);
    }
  }
  check(papers.light !== papers.dark, `light and dark are both ${papers.light}`);
}

async function report(browser) {
  call("run", "hostile.toml", "--threads", "2");
  const file = path.join(room, "runs/hostile/report/report.html");
  const seen = await opened(browser, file, wide);
  for (const looks of [reads, harmless, walks, sorts, switches, orders, hovers, (page) => prints(page, browser, file)]) await looks(seen.page);
  await closed(seen, "the report");
  await looksAt(browser, file, "report");
  await withoutScript(browser, file);
  call("compare", "hostile:mlp-2", "hostile:hog-svm");
  const compared = fs.readdirSync(path.dirname(file)).find((name) => name.startsWith("compare-"));
  await looksAt(browser, path.join(path.dirname(file), compared), "compare");
}

/** A run while it is worked on: how far it is, more and more rows, the whole report at last. */
async function watches(browser) {
  const run = spawn(bakeoff, ["run", "hostile.toml", "--fresh", "--out", "runs/watched", "--threads", "2", "--watch", "0"], { cwd: room });
  let said = "";
  run.stdout.on("data", (text) => { said += text; });
  const ended = new Promise((resolve) => run.on("close", resolve));
  const address = await new Promise((resolve, reject) => {
    run.stderr.on("data", (text) => {
      said += text;
      const found = said.match(/Watch it at (http:\S+)/);
      if (found) resolve(found[1]);
    });
    ended.then(() => reject(new Error(`the run ended without an address: ${said}`)));
  });
  const { page, sins, context } = await watched(browser, wide, [address]);
  await page.goto(address);
  check(await page.locator("#live-bar").isVisible(), "there is a bar");
  const text = await page.textContent("#live-text");
  check(/\d+ of \d+ cells are finished/.test(text), text);
  await faults(page, "a run that is worked on");
  await pictured(page, "watched");
  await page.waitForFunction(() => document.getElementById("live")?.hasAttribute("data-ended"), null, { timeout: 120_000 });
  check((await page.textContent(".verdict")).includes("has the highest accuracy"), "the last page is whole");
  check((await page.$$("#pictures h3")).length > 3, "the last page has pictures");
  check((await ended) === 0, said);
  // It has stopped asking: nothing answers any more, and nothing complains.
  await page.waitForTimeout(2500);
  await closed({ context, sins }, "a run that is watched");
}

data(path.join(room, "shown"));
fs.writeFileSync(path.join(room, "hostile.toml"), experiment);
const browser = await launch(modules);
try {
  await report(browser);
  await watches(browser);
  console.log("the report holds in a browser");
} finally {
  await browser.close();
}
