// What every test of a page shares: Debian's Chromium under playwright-core, and an eye on what pages do besides.
//
//   import { launch, watched, check } from "./browser.mjs";
//   const browser = await launch(process.argv[2]);             // the folder that .ci/browser printed
//   const { page, sins } = await watched(browser, { width: 1280, height: 900 }, allowed);
//   …
//   check(sins.length === 0, sins.join("\n"));

import { createRequire } from "node:module";

/** A headless Chromium that asks nothing of the network by itself. */
export async function launch(modules) {
  const { chromium } = createRequire(`${modules}/`)("playwright-core");
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync",
    ],
  });
}

/**
 * A page in a context of its own, and the list of its sins: errors on its console, exceptions that nobody caught, requests
 * whose address does not begin with one of `allowed` ("http://127.0.0.1:8000/", "ws://127.0.0.1:8000/", "file:///…";
 * data: and blob: stay in the page). `options` are playwright's for a context, with width and height besides.
 */
export async function watched(browser, { width, height, ...options }, allowed) {
  const context = await browser.newContext({ viewport: { width, height }, ...options });
  const page = await context.newPage();
  const sins = [];
  const stays = (url) => [...allowed, "data:", "blob:", "about:blank"].some((start) => url.startsWith(start));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) sins.push(`console ${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => sins.push(`uncaught: ${error.stack ?? error}`));
  page.on("request", (request) => {
    if (!stays(request.url())) sins.push(`request to ${request.url()}`);
  });
  page.on("websocket", (socket) => {
    if (!stays(socket.url())) sins.push(`socket to ${socket.url()}`);
  });
  return { context, page, sins };
}

/** Ends the test with a message when something does not hold. */
export function check(holds, message) {
  if (!holds) throw new Error(message);
}
