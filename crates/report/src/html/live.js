'use strict';
// A run that is being worked on: how far it is, once a second; the page again when there is more to see.
const live = document.getElementById('live');
const bar = document.getElementById('live-bar');
const text = document.getElementById('live-text');
const loaded = Date.now();
function again(milliseconds) { setTimeout(ask, milliseconds); }
async function ask() {
  try {
    const answer = await fetch(live.dataset.progress, { cache: 'no-store' });
    if (!answer.ok) throw new Error(String(answer.status));
    const now = await answer.json();
    bar.max = Math.max(1, now.cells);
    bar.value = now.position;
    text.textContent = now.words;
    // Nobody can read a page that changes all the time.
    const old = Date.now() - loaded > 3000;
    if (now.ended || (now.rows !== Number(live.dataset.rows) && old)) { location.reload(); return; }
    again(1000);
  } catch {
    text.textContent += ' The run does not answer any more: it has ended or was stopped. This is what was finished.';
  }
}
if (!('ended' in live.dataset)) again(1000);
