// report.html: one file that loads nothing. Both languages stand in the page, and two radio buttons choose between
// them without a script; the script only follows the reader's preference. A content policy forbids everything else,
// so nothing that a model wrote can act.

import { createHash } from 'node:crypto';
import { type Bilingual, say } from './bilingual.ts';
import { eachLanguage, escaped } from './charts/svg.ts';
import type {
  Block,
  Cell,
  Chart,
  ReportDocument,
  Section,
  ShownAnswer,
  ShownToken,
  Tile,
} from './document.ts';
import { styleSheet } from './style.ts';

const script = `
const pick = (id) => { const input = document.getElementById(id); if (input) input.checked = true; follow(); };
const follow = () => {
  const isKorean = document.getElementById('korean').checked;
  document.documentElement.lang = isKorean ? 'ko' : 'en';
  document.title = document.body.dataset[isKorean ? 'titleKo' : 'titleEn'];
};
for (const input of document.querySelectorAll('input[name=language]')) input.addEventListener('change', follow);
if (new URLSearchParams(location.search).get('language') === 'ko' || (!location.search && navigator.language.startsWith('ko'))) pick('korean');
`;

/** @returns a whole page */
export function renderHtml(document: ReportDocument): string {
  const { title, sections } = document;
  const policy = `default-src 'none'; style-src '${hashOf(styleSheet)}'; script-src '${hashOf(script)}'`;
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="color-scheme" content="light dark">',
    `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    `<title>${escaped(title.en)}</title>`,
    `<style>${styleSheet}</style>`,
    '</head>',
    `<body data-title-en="${escaped(title.en)}" data-title-ko="${escaped(title.ko)}">`,
    '<input class="switch" type="radio" name="language" id="english" checked aria-label="English">',
    '<input class="switch" type="radio" name="language" id="korean" aria-label="한국어">',
    bar(document),
    '<main>',
    masthead(document),
    ...sections.map(renderSection),
    '</main>',
    `<footer>${both(document.footer)}</footer>`,
    `<script>${script}</script>`,
    '</body>',
    '</html>\n',
  ].join('\n');
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

function both(text: Bilingual): string {
  return eachLanguage(text, (content, attribute) =>
    attribute ? `<span${attribute}>${unbroken(content)}</span>` : unbroken(content),
  );
}

/** Intervals and equations stay on one line. */
function unbroken(content: string): string {
  return content.replace(/(\[[^[\], ]+,) (?=[^[\], ]+\])/g, '$1\u00a0').replaceAll(' = ', '\u00a0=\u00a0');
}

function bar({ sections }: ReportDocument): string {
  const links = sections.map(({ id, short }) => `<a href="#${id}">${both(short)}</a>`).join('');
  const labels = '<label for="english">English</label><label for="korean">한국어</label>';
  return `<header class="bar"><b class="mark">heed</b><nav aria-label="${escaped(say('page.contents').en)}">${links}</nav><div class="languages">${labels}</div></header>`;
}

function masthead({ title, facts }: ReportDocument): string {
  const shown = facts.map(
    ({ name, value }) => `<span class="fact">${both(name)} <b>${escaped(value)}</b></span>`,
  );
  return `<div class="masthead"><h1>${both(title)}</h1><p class="facts">${shown.join('')}</p></div>`;
}

function renderSection({ id, title, blocks }: Section, index: number): string {
  const number = `<span class="number">${index + 1}</span>`;
  return `<section id="${id}"><h2>${number}${both(title)}</h2>${blocks.map(renderBlock).join('\n')}</section>`;
}

function renderBlock(block: Block): string {
  switch (block.kind) {
    case 'text':
      return `<p class="${block.isNote ? 'note' : 'lead'}">${both(block.text)}</p>`;
    case 'heading':
      return `<h3>${both(block.text)}</h3>`;
    case 'list':
      return `<ul class="verdicts">${block.items.map((item) => `<li>${both(item)}</li>`).join('')}</ul>`;
    case 'tiles':
      return `<div class="tiles">${block.tiles.map(tile).join('')}</div>`;
    case 'table':
      return table(block);
    case 'charts':
      return `<div class="charts of-${block.columns}">${block.charts.map(chart).join('')}</div>`;
    case 'picture':
      return `<figure class="picture">${block.broad}${block.narrow}<figcaption class="unseen">${both(block.summary)}</figcaption></figure>`;
    case 'tokens':
      return tokens(block);
    case 'answers':
      return answers(block);
  }
}

function tile({ label, value, detail, hue }: Tile): string {
  const below = detail ? `<span class="detail">${both(detail)}</span>` : '';
  return `<div class="tile${hue ? ` m-${hue}` : ''}"><span class="label">${both(label)}</span><span class="value">${both(value)}</span>${below}</div>`;
}

function table({ columns, rows }: Extract<Block, { kind: 'table' }>): string {
  const head = columns.map(
    ({ label, isNumber }) => `<th scope="col"${numeric(isNumber)}>${both(label)}</th>`,
  );
  const body = rows.map((row) => {
    const cells = row.map((cell, i) => tableCell(cell, i === 0, columns[i]));
    return `<tr>${cells.join('')}</tr>`;
  });
  const width = columns.length <= 3 ? ' few' : '';
  return `<div class="scroll${width}"><table><thead><tr>${head.join('')}</tr></thead><tbody>${body.join('')}</tbody></table></div>`;
}

function tableCell({ text, hue }: Cell, isFirst: boolean, { isNumber }: { isNumber: boolean }): string {
  const dot = hue ? `<i class="swatch m-${hue}"></i>` : '';
  if (isFirst) return `<th scope="row">${dot}${both(text)}</th>`;
  return `<td class="${isNumber ? 'number' : 'prose'}">${dot}${eachLanguage(text, figure)}</td>`;
}

/** An interval may break before its bounds and nowhere else. */
function figure(content: string, attribute: string): string {
  const [, value, bounds] = /^([^[]*) (\[[^\]]*\].*)$/.exec(content) ?? [];
  const inner = bounds ? `${value} <span class="bounds">${bounds}</span>` : content;
  return attribute ? `<span${attribute}>${inner}</span>` : inner;
}

function numeric(isNumber: boolean): string {
  return isNumber ? ' class="number"' : '';
}

function chart({ title, svg, summary, legend, note }: Chart): string {
  const keys = (legend ?? []).map(
    ({ name, hue, isDashed }) =>
      `<span><i class="swatch m-${hue}${isDashed ? ' dashed' : ''}"></i>${both(name)}</span>`,
  );
  return [
    `<figure class="chart-card"><figcaption><b>${both(title)}</b><span class="unseen">${both(summary)}</span></figcaption>`,
    svg,
    keys.length > 0 ? `<p class="legend">${keys.join('')}</p>` : '',
    note ? `<p class="note">${both(note)}</p>` : '',
    '</figure>',
  ].join('');
}

function tokens({ tokens, legend }: Extract<Block, { kind: 'tokens' }>): string {
  const keys = legend.map(
    ({ role, name }) => `<span><i class="swatch token-${role}"></i>${both(name)}</span>`,
  );
  return `<div class="tokens"><p class="legend">${keys.join('')}</p><p class="stream" translate="no">${tokens.map(token).join('')}</p></div>`;
}

/** White space is drawn, so that it can be seen which token it belongs to. */
function token({ text, role, hint }: ShownToken): string {
  const shown = escaped(text).replaceAll(' ', '<wbr><s>·</s>').replaceAll('\n', '<s>↵</s>\n');
  return `<span class="token-${role}"${hint ? ` title="${escaped(hint)}"` : ''}>${shown}</span>`;
}

function answers(block: Extract<Block, { kind: 'answers' }>): string {
  const right = block.right
    ? `<div class="right"><span class="label">${both(say('samples.right'))}</span><pre translate="no">${escaped(block.right)}</pre></div>`
    : '';
  return [
    `<details class="sample"${block.isOpen ? ' open' : ''}><summary><span class="label">${both(block.title)}</span>`,
    `<q translate="no">${escaped(block.request)}</q></summary>${right}`,
    `<div class="answers">${block.answers.map(answer).join('')}</div></details>`,
  ].join('');
}

function answer({ name, hue, text, markup, verdicts }: ShownAnswer): string {
  const content =
    text.trim() === '' ? `<em>${both(say('samples.empty'))}</em>` : (markup?.html ?? escaped(text));
  const marks = verdicts.map(({ text, tone }) => `<span class="verdict ${tone}">${both(text)}</span>`);
  return `<article class="answer m-${hue ?? 'quiet'}"><h4>${both(name)}</h4><pre translate="no"><code>${content}</code></pre><p>${marks.join('')}</p></article>`;
}
