// Draws the training loss of runs as an SVG that stands alone, in light and dark:
//   node scripts/loss-curve.js runs/base runs/sft > loss-curve.svg
// It reads each run's events.jsonl and nothing else.

import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const [width, height] = [720, 380];
const plot = { left: 58, right: 696, top: 52, bottom: 326 };
/** Blue, orange and green that colour-blind people can distinguish; a darker page takes lighter ones. */
const colours = [
  { light: '#1f6fd0', dark: '#6aa9f7' },
  { light: '#c2570c', dark: '#f0954a' },
  { light: '#177a4c', dark: '#4cc38a' },
];

const folders = process.argv.slice(2);
if (folders.length === 0 || folders.length > colours.length) {
  console.error(`loss-curve: expected 1 to ${colours.length} run folders, got ${folders.length}.`);
  process.exitCode = 1;
} else {
  process.stdout.write(draw(folders.map(readRun)));
}

/** A run's command and its losses by update. */
function readRun(folder) {
  const events = readFileSync(join(folder, 'events.jsonl'), 'utf8').trim().split('\n').map(JSON.parse);
  const points = events.filter(({ type }) => type === 'step').map(({ step, loss }) => ({ step, loss }));
  if (points.length === 0) throw new Error(`${folder}/events.jsonl holds no step`);
  const command = events.find(({ type }) => type === 'started')?.command ?? '';
  return { name: basename(folder), command, points };
}

function draw(runs) {
  const points = runs.flatMap((run) => run.points);
  const x = axis(Math.max(...points.map(({ step }) => step)), plot.left, plot.right);
  const y = axis(Math.max(...points.map(({ loss }) => loss)), plot.bottom, plot.top);
  const last = runs.map((run) => run.points.at(-1).loss.toFixed(3));
  const summary = runs.map(
    ({ name, points }, i) => `${name}: ${points.length} updates, last loss ${last[i]}`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="title summary">`,
    '<title id="title">Training loss</title>',
    `<desc id="summary">${escaped(summary.join('; '))}</desc>`,
    `<style>${style()}</style>`,
    `<rect class="page" width="${width}" height="${height}" rx="8"/>`,
    `<text class="heading" x="${plot.left}" y="28">Training loss</text>`,
    ...horizontalLines(y),
    ...stepMarks(x),
    `<text class="axis" x="${plot.left}" y="${plot.top - 8}">nats per trained token</text>`,
    `<text class="axis" x="${(plot.left + plot.right) / 2}" y="${height - 14}" text-anchor="middle">updates of the weights</text>`,
    ...runs.map((run, i) => curve(run, i, x, y)),
    ...legend(runs),
    '</svg>\n',
  ].join('\n');
}

/** From 0 to `most` in about five round steps. */
function axis(most, from, to) {
  const rough = most / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const end = Math.ceil(most / step) * step;
  const ticks = Array.from({ length: Math.round(end / step) + 1 }, (_, i) =>
    Number((i * step).toPrecision(6)),
  );
  return { ticks, place: (value) => Number((from + ((to - from) * value) / end).toFixed(1)) };
}

function horizontalLines({ ticks, place }) {
  return ticks.flatMap((tick) => [
    `<path class="${tick === 0 ? 'base' : 'grid'}" d="M${plot.left} ${place(tick)}H${plot.right}"/>`,
    `<text class="tick" x="${plot.left - 8}" y="${place(tick) + 4}" text-anchor="end">${tick}</text>`,
  ]);
}

function stepMarks({ ticks, place }) {
  return ticks.map(
    (tick) =>
      `<text class="tick" x="${place(tick)}" y="${plot.bottom + 18}" text-anchor="middle">${tick}</text>`,
  );
}

function curve({ points }, i, x, y) {
  const path = points.map(({ step, loss }) => `${x.place(step)} ${y.place(loss)}`).join('L');
  return `<path class="curve c${i}" d="M${path}"/>`;
}

/** A row for each curve, in the corner that falling losses leave free. */
function legend(runs) {
  return runs.flatMap(({ name, command, points }, i) => {
    const { step, loss } = points.at(-1);
    const row = plot.top + 22 + 20 * i;
    const made = command === '' || command === name ? '' : ` (${command})`;
    return [
      `<path class="curve c${i}" d="M420 ${row - 4}h22"/>`,
      `<text x="450" y="${row}"><tspan class="name">${escaped(name)}</tspan>${escaped(made)}`,
      `<tspan class="axis">${loss.toFixed(3)} after ${step} updates</tspan></text>`,
    ];
  });
}

function style() {
  const curves = (mode) => colours.map((colour, i) => `.c${i}{--hue:${colour[mode]}}`).join('');
  return [
    'svg{--page:#fff;--ink:#1c2024;--quiet:#5b6470;--line:#e3e6ea;--base:#a8b0ba}',
    curves('light'),
    'text{font:12px system-ui,-apple-system,"Segoe UI",sans-serif;fill:var(--ink)}',
    '.heading{font-size:15px;font-weight:600}.name{font-weight:600}',
    '.axis,.tick{fill:var(--quiet);font-weight:400}.tick{font-variant-numeric:tabular-nums}',
    '.page{fill:var(--page)}.grid{stroke:var(--line)}.base{stroke:var(--base)}',
    '.curve{fill:none;stroke:var(--hue);stroke-width:2;stroke-linejoin:round}',
    '@media(prefers-color-scheme:dark){svg{--page:#15181c;--ink:#eceef1;--quiet:#a0a8b3;--line:#2b3037;--base:#5b6470}',
    `${curves('dark')}}`,
  ].join('');
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
