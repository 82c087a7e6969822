'use strict';
// Sorting, ordering and pointing. Everything else on the page works without this.
document.documentElement.classList.add('scripted');

// Tables: a click on a head sorts by its column, another one turns the order.
const number = /^[−+-]?[\d.,]+/;
const units = { 'µs': 1e-6, ms: 1e-3, s: 1, min: 60, h: 3600, B: 1, kB: 1e3, MB: 1e6, GB: 1e9 };
function value(cell) {
  const text = (cell ? cell.textContent : '').trim();
  const found = text.match(number);
  if (!found) return text === '–' || text === '' ? null : text;
  const unit = text.slice(found[0].length).trim().split(/\s/)[0];
  return Number(found[0].replace('−', '-').replaceAll(',', '')) * (units[unit] || 1);
}
function compare(a, b, turn) {
  if (a === null || b === null) return (a === null) - (b === null);
  const order = typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b));
  return turn * order;
}
for (const table of document.querySelectorAll('table.sortable')) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener('click', () => {
      const numeric = head.classList.contains('number');
      const before = head.getAttribute('aria-sort');
      const turn = before ? (before === 'ascending' ? -1 : 1) : (numeric ? -1 : 1);
      heads.forEach((other) => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', turn > 0 ? 'ascending' : 'descending');
      const body = table.tBodies[0];
      // A row that says why it has no figures stays at the end.
      const rows = [...body.rows].map((row) => [row, row.classList.contains('absent') ? null : value(row.cells[column])]);
      rows.sort((a, b) => compare(a[1], b[1], turn));
      body.append(...rows.map(([row]) => row));
    });
  });
}

// Confusion matrices: classes that are taken for one another stand together, and back.
function reorder(table, order) {
  const move = (row, skip) => {
    const cells = [...row.cells];
    const last = cells[cells.length - 1];
    order.forEach((place) => row.insertBefore(cells[place + skip], last));
  };
  move(table.tHead.rows[0], 1);
  const body = table.tBodies[0];
  const rows = [...body.rows];
  rows.forEach((row) => move(row, 1));
  body.append(...order.map((place) => rows[place]));
}
const similar = document.getElementById('similar');
if (similar) {
  similar.addEventListener('change', () => {
    for (const table of document.querySelectorAll('table.matrix')) {
      const order = table.dataset.order.split(' ').map(Number);
      const back = order.map((_, place) => order.indexOf(place));
      reorder(table, similar.checked ? order : back);
    }
  });
  // Browsers keep the tick of a page that is loaded again.
  similar.checked = false;
}

// Plots: what is pointed at is told at once, and the other pipelines step back.
const tip = document.createElement('div');
tip.className = 'tip';
tip.hidden = true;
tip.setAttribute('aria-hidden', 'true');
document.body.append(tip);
for (const title of document.querySelectorAll('svg.plot title')) {
  title.parentNode.dataset.tip = title.textContent;
  title.remove();
}
function series(element) {
  const found = element && (element.getAttribute('class') || '').match(/\bs\d\b/);
  return found ? found[0] : null;
}
document.addEventListener('pointerover', (event) => {
  const group = event.target.closest('[data-tip]');
  const plot = event.target.closest('svg.plot');
  document.querySelectorAll('svg.plot.focus').forEach((other) => other.classList.remove('focus'));
  document.querySelectorAll('svg.plot .here').forEach((other) => other.classList.remove('here'));
  tip.hidden = !group;
  if (!group) return;
  tip.textContent = group.dataset.tip;
  const wanted = series(group);
  if (plot && wanted) {
    plot.classList.add('focus');
    plot.querySelectorAll(`g.${wanted}`).forEach((same) => same.classList.add('here'));
  }
});
document.addEventListener('pointermove', (event) => {
  if (tip.hidden) return;
  const width = document.documentElement.clientWidth;
  tip.style.left = `${Math.max(8, Math.min(event.clientX + 14, width - tip.offsetWidth - 8))}px`;
  tip.style.top = `${event.clientY + 18 + tip.offsetHeight > window.innerHeight ? event.clientY - tip.offsetHeight - 10 : event.clientY + 18}px`;
});

// Paper has no clicks: what is folded is opened for it.
const folded = [];
window.addEventListener('beforeprint', () => {
  for (const details of document.querySelectorAll('details:not([open])')) { details.open = true; folded.push(details); }
});
window.addEventListener('afterprint', () => { while (folded.length) folded.pop().open = false; });
