// The playground in a real Chromium: node .ci/playground.mjs MODULES BAKEOFF [SCREENSHOTS]
// MODULES is the folder that .ci/browser printed, BAKEOFF the program, SCREENSHOTS a folder for pictures of the page.

import { spawn } from "node:child_process";
import { readFileSync, readdirSync, mkdirSync } from "node:fs";
import { check, launch, watched } from "./browser.mjs";

const [modules, bakeoff, screenshots] = process.argv.slice(2);
check(modules && bakeoff, "usage: playground.mjs MODULES BAKEOFF [SCREENSHOTS]");
if (screenshots) mkdirSync(screenshots, { recursive: true });
const began = performance.now();
const say = (text) => console.log(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${text}`);

// ---- the program

const program = spawn(bakeoff, ["lab", "playground", "--port", "0"], { stdio: ["ignore", "pipe", "inherit"] });
const ended = new Promise((resolve) => program.on("exit", (code, signal) => resolve(code ?? signal)));
process.on("exit", () => program.kill("SIGKILL"));
const address = await new Promise((resolve, reject) => {
  let said = "";
  program.stdout.on("data", (part) => {
    const found = (said += part).match(/http:\/\/127\.0\.0\.1:(\d+)\//);
    if (found) resolve(found[0]);
  });
  setTimeout(() => reject(new Error(`no address within 20 s: ${said}`)), 20_000).unref();
});
const own = [address, address.replace("http", "ws")];
say(`serves at ${address}`);

// Threads that train, and the processor time of the whole program in clock ticks.
function training() {
  const folder = `/proc/${program.pid}/task`;
  return readdirSync(folder).filter((id) => {
    try {
      return readFileSync(`${folder}/${id}/comm`, "utf8").trim() === "playground";
    } catch {
      return false; // it has just ended
    }
  }).length;
}
function ticks() {
  const fields = readFileSync(`/proc/${program.pid}/stat`, "utf8").split(") ")[1].split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

async function until(what, holds, seconds = 30) {
  const end = performance.now() + 1000 * seconds;
  for (;;) {
    const found = await holds();
    if (found) return found;
    check(performance.now() < end, `not within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// ---- pages

const browser = await launch(modules);
const pages = [];
async function open(hash, options = {}) {
  const opened = await watched(browser, { width: 1280, height: 900, ...options }, own);
  pages.push(opened);
  await opened.page.goto(address + hash);
  await until("a first picture", async () => (await opened.page.textContent("#right")) !== "–" || (await opened.page.textContent("#told")) !== "");
  return opened.page;
}
async function close(page) {
  const at = pages.findIndex((opened) => opened.page === page);
  const [{ context, sins }] = pages.splice(at, 1);
  check(sins.length === 0, `the page did what it must not:\n${sins.join("\n")}`);
  await context.close();
}
const text = (page, id) => page.textContent(`#${id}`);
const steps = async (page) => Number((await text(page, "steps")).replaceAll(",", ""));
const paused = async (page) => (await text(page, "run")) === "Run";
async function click(page, x, y, options = {}) {
  const box = await page.locator("#plane").boundingBox();
  await page.locator("#plane").click({ position: { x: (x / 5 + 1) / 2 * box.width, y: (1 - y / 5) / 2 * box.height }, ...options });
}
// The class whose color the plane has at a place, away from points.
const classAt = (page, x, y) => page.evaluate(([x, y]) => {
  const canvas = document.getElementById("plane");
  const pixel = [Math.floor((x / 5 + 1) / 2 * canvas.width), Math.floor((1 - y / 5) / 2 * canvas.height)];
  // Read from a copy: the page's own canvas is for drawing, and Chromium warns of what slows that down.
  const copy = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, -pixel[0], -pixel[1]);
  const [r, g, b] = copy.getImageData(0, 0, 1, 1).data;
  const style = getComputedStyle(document.documentElement);
  const direction = (rgb, from) => {
    const away = rgb.map((v, i) => v - from[i]);
    const length = Math.hypot(...away) || 1;
    return away.map((v) => v / length);
  };
  const color = (name) => [1, 3, 5].map((i) => parseInt(style.getPropertyValue(`--${name}`).trim().slice(i, i + 2), 16));
  const paper = color("paper");
  const seen = direction([r, g, b], paper);
  const likeness = [0, 1, 2, 3].map((c) => direction(color(`class${c}`), paper).reduce((sum, v, i) => sum + v * seen[i], 0));
  return likeness.indexOf(Math.max(...likeness));
}, [x, y]);
const canvasOf = (page, id) => page.evaluate((id) => document.getElementById(id).toDataURL(), id);

// ---- clicked points and a boundary that follows them

{
  const page = await open("#points=&classifier=linear&learning_rate=0.05");
  check((await text(page, "told")).includes("two classes"), `an empty plane says what it needs: ${await text(page, "told")}`);
  for (const [x, y] of [[-3, 1], [-3, -1]]) await click(page, x, y);
  await page.locator("#brushes label").nth(1).click();
  for (const [x, y] of [[3, 1], [3, -1]]) await click(page, x, y);
  await until("four points are learned from", async () => (await text(page, "right")) !== "–");
  await page.click("#run");
  await until("the regions are left and right", async () =>
    (await steps(page)) > 50 && (await classAt(page, -4.5, 4)) === 0 && (await classAt(page, 4.5, 4)) === 1);
  const before = await canvasOf(page, "plane");
  // Class 2 above on the left, class 1 below on the right: the boundary must turn.
  for (const [x, y] of [[-3, 3], [-4, 3.5], [-2, 3.2], [-1, 3], [-3.5, 4], [-2.5, 4.2]]) await click(page, x, y);
  await page.keyboard.press("1");
  for (const [x, y] of [[3, -3], [4, -3.5], [2, -3.2], [1, -3], [3.5, -4], [2.5, -4.2]]) await click(page, x, y);
  await until("the boundary has turned", async () =>
    (await classAt(page, -4.5, 4.7)) === 1 && (await classAt(page, 4.5, -4.7)) === 0);
  check((await canvasOf(page, "plane")) !== before, "the picture has changed");
  say("clicked points: the boundary follows them");

  // Keys: the cross begins in the middle; Enter puts a point, Delete takes it away; undo brings back.
  await page.click("#run");
  await until("it pauses", () => paused(page));
  const points = () => page.evaluate(() => {
    const packed = new URLSearchParams(location.hash.slice(1)).get("points");
    return packed.length / 5;
  });
  await until("the address has all points", async () => (await points()) === 16);
  await page.locator("#plane").focus();
  for (const key of ["ArrowRight", "ArrowUp", "3", "Enter"]) await page.keyboard.press(key);
  await until("a key put a point", async () => (await points()) === 17);
  await page.keyboard.press("Delete");
  await until("a key took it away", async () => (await points()) === 16);
  await page.keyboard.press("Control+z");
  await until("undo brought it back", async () => (await points()) === 17);
  await click(page, 0.25, 0.25, { button: "right" });
  await until("a right click took it away", async () => (await points()) === 16);
  say("keys, undo and the right button do as they should");

  // Tables.
  const csv = (name, body) => ({ name, mimeType: "text/csv", buffer: Buffer.from(body) });
  await page.setInputFiles("#csv", csv("bad.csv", "x,y,class\n1,2,a\n1,two,b\n"));
  await until("a bad table is told with its line", async () => (await text(page, "told")).includes("line 3"));
  await page.setInputFiles("#csv", csv("good.csv", "x,y,class\n10,20,cat\n-10,20,dog\n10,-20,eel\n"));
  await until("a table is loaded and scaled", async () => /3 points.*cat.*scaled/.test(await text(page, "told")));
  await until("the address has its points", async () => (await points()) === 3);
  await close(page);
}

// Numbers out of their range are told by the name of their field, and change nothing.
{
  const page = await open("#preset=spiral,100,2,0.1,1");
  const hash = await page.evaluate(() => location.hash);
  for (const [field, value, part] of [
    ["[name=batch]", "0", "Batch"], ["[name=l2]", "-2", "λ (L2)"], ["[name=hidden]", "0", "above 0"], ["[name=hidden]", "65", "64 units"],
    ["[name=learning_rate]", "0", "above 0"], ["#preset-classes", "5", "classes"], ["#preset-points", "", "points"],
  ]) {
    const before = await page.inputValue(field);
    await page.fill(field, value);
    await page.locator(field).blur();
    await until(`${field} = ${value} is told`, async () => (await text(page, "told")).includes(part));
    check(!(await text(page, "told")).includes("message"), `${field} = ${value}: ${await text(page, "told")}`);
    await page.fill(field, before);
    await page.locator(field).blur();
    await until("it is well again", async () => (await text(page, "told")) === "");
  }
  await until("the first state again", async () => (await page.evaluate(() => location.hash)).startsWith(hash.split("&")[0]));
  await close(page);
}
say("numbers out of range are refused in words");

// ---- the spiral, and a link to it

const first = await open("#preset=spiral,300,2,0.1,1");
// A click on a unit shows what it answers and what it adds up.
{
  const unitsShown = async () => [await text(first, "unit"), await canvasOf(first, "unit-across"), await canvasOf(first, "unit-up")];
  const [described, ...shown] = await unitsShown();
  check(described.includes("Unit 1 of hidden 2") && shown[0] !== shown[1], `the units of the space are shown: ${described}`);
  // The fifth of twenty units in the first of two hidden layers, as draw.js puts them.
  const position = await first.evaluate(() => {
    const { clientWidth, clientHeight } = document.getElementById("network");
    const [step, room] = [(clientWidth - 60) / 3, (clientHeight - 26) / 20];
    const apart = Math.min(room, 1.35 * Math.min(34, 0.86 * room, 0.5 * step));
    return { x: 30 + step, y: 22 + (clientHeight - 26) / 2 + (4 - 9.5) * apart };
  });
  await first.locator("#network").click({ position });
  await until("the unit that was clicked is described", async () => (await text(first, "unit")).includes("Unit 5 of hidden 1"));
  check((await canvasOf(first, "unit-across")) !== shown[0], "the picture of the unit across is another");
  await first.selectOption("#layer", "2");
  await until("the last hidden layer again", async () => (await text(first, "unit")).includes("Unit 1 of hidden 2"));
}
await first.click("#run");
await until("100% on the spiral", async () => (await text(first, "right")) === "100.0 %", 60);
await first.click("#run");
await until("it pauses", () => paused(first));
const reached = await steps(first);
say(`the spiral: 100% after at most ${reached} steps`);
await until("the address has the steps", () => first.evaluate((n) => location.hash.includes(`steps=${n}`), reached));
const link = await first.evaluate(() => location.hash);
const figures = async (page) => Promise.all(["steps", "epochs", "loss-now", "right", "n-weights", "unit"].map((id) => text(page, id)));
const pictures = async (page) => Promise.all(["plane", "space", "network", "loss"].map((id) => canvasOf(page, id)));
const firstFigures = await figures(first);
const firstPictures = await pictures(first);
const second = await open(link);
await until("the link's steps are made", async () => (await steps(second)) === reached && (await paused(second)));
check(String(await figures(second)) === String(firstFigures), `figures differ: ${await figures(second)} and ${firstFigures}`);
(await pictures(second)).forEach((picture, i) => check(picture === firstPictures[i], `picture ${i} differs`));
say(`the link of ${link.length} letters shows the same state to the pixel`);

// Changed in training: the link holds the weights.
await second.fill("[name=l2]", "0.003");
await second.press("[name=l2]", "Enter");
await click(second, -4.5, 4.5);
await second.click("#epoch");
await until("an epoch is made", async () => (await steps(second)) > reached && (await paused(second)));
await until("the address has weights", () => second.evaluate(() => location.hash.includes("weights=")));
await second.waitForTimeout(700);
const third = await open(await second.evaluate(() => location.hash));
await until("the same step", async () => (await steps(third)) === (await steps(second)));
check((await canvasOf(third, "plane")) === (await canvasOf(second, "plane")), "the plane of a link with weights differs");
check((await text(third, "unit")) === (await text(second, "unit")), "the weights of a link with weights differ");
await close(third);
say("a state that was changed in training is linked, too");

// ---- two browsers, and pages that go

await second.selectOption("#preset", "moons");
await second.click("#run");
await until("the second trains", async () => (await steps(second)) > 200);
check(String(await figures(first)) === String(firstFigures), "what one browser does shows in the other");
check(training() === 2, `two pages have two threads, found ${training()}`);
await close(second);
await until("the closed page's thread ends", () => training() === 1, 5);
const before = ticks();
await first.waitForTimeout(1000);
const spent = ticks() - before;
check(spent <= 10, `nobody trains, but ${spent} hundredths of a second were spent within one second`);
say("two browsers do not disturb each other; a closed page ends its training");

// ---- what it must not do

const stranger = await browser.newPage();
const refused = await stranger.evaluate((url) => new Promise((resolve) => {
  const socket = new WebSocket(url);
  socket.onopen = () => resolve(false);
  socket.onerror = () => resolve(true);
}), address.replace("http", "ws") + "socket");
check(refused && training() === 1, "a page from elsewhere was let in");
await stranger.close();
for (const [hash, part] of [
  ["#preset=spiral,300,2,0.1,1&hidden=65", "64 units"], ["#points=abc", "damaged"], ["#colour=red", "colour"],
  ["#preset=spiral,99999,2,0.1,1", "99999 points"], ["#learning_rate=-1", "above 0"], ["#activation=swish", "swish"],
]) {
  const page = await open(hash);
  await until(`${hash} is told`, async () => (await text(page, "told")).includes(part));
  await until(`${hash} begins with something else`, async () => (await text(page, "right")) !== "–");
  await close(page);
}
say("foreign pages and bad links are refused");

// ---- pictures a second

const fast = await open("#preset=spiral,1000,4,0.1,1&hidden=20,20&learning_rate=0.01");
await fast.click("#run");
await fast.waitForTimeout(2000);
const rates = [];
for (let i = 0; i < 8; i++) {
  await fast.waitForTimeout(500);
  rates.push(Number(await text(fast, "fps")));
}
rates.sort((a, b) => a - b);
const made = await steps(fast);
say(`1,000 points, a 2-20-20-4 net: ${rates[4]} pictures a second (median of 8; least ${rates[0]}), ${made} steps in 6 s`);
check(rates[4] >= 20, "fewer than 20 pictures a second");
await close(fast);

// ---- every size and theme

for (const colorScheme of ["light", "dark"]) {
  for (const width of [1280, 400]) {
    const page = await open("#preset=spiral,300,3,0.1,1", { width, height: 900, colorScheme });
    await page.click("#run");
    await until("it trains", async () => (await steps(page)) > 400);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    check(wide <= 0, `the page is ${wide} pixels wider than ${width}`);
    if (screenshots) await page.screenshot({ path: `${screenshots}/${colorScheme}-${width}.png`, fullPage: true });
    await close(page);
  }
}
await close(first);
say("four sizes and themes fit");

// ---- the end

await browser.close();
program.kill("SIGINT");
const code = await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 5000, "still there after 5 s").unref())]);
check(code === 0, `the program ended with ${code}`);
say("done");
process.exit(0);
