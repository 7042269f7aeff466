'use strict';
// Sort a table by the column whose heading was pressed; rows without a value stay last.
function key(row, column) {
  const text = row.cells[column].dataset.value;
  const number = Number(text);
  return text === '' ? null : Number.isNaN(number) ? text : number;
}
function order(a, b) {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  return typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(b);
}
for (const button of document.querySelectorAll('th > button')) {
  button.addEventListener('click', () => {
    const head = button.parentElement;
    const down = head.getAttribute('aria-sort') !== 'descending';
    for (const other of head.parentElement.cells) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const body = head.closest('table').tBodies[0];
    const keyed = [...body.rows].map((row) => [key(row, head.cellIndex), row]);
    keyed.sort(([a], [b]) => (down && a !== null && b !== null ? order(b, a) : order(a, b)));
    body.append(...keyed.map(([, row]) => row));
  });
}
// Show an image large, with its caption.
const viewer = document.getElementById('viewer');
for (const button of document.querySelectorAll('.open')) {
  button.addEventListener('click', () => {
    const image = button.querySelector('img');
    const large = viewer.querySelector('img');
    large.src = image.src;
    large.alt = image.alt;
    viewer.querySelector('p').textContent = button.dataset.caption;
    viewer.showModal();
  });
}
viewer.addEventListener('click', (event) => {
  if (event.target === viewer) viewer.close();
});
