// report.md and report.ko.md: the same blocks in one language. Charts are described in a line each; the page draws them.

import { type Bilingual, type Language, say } from './bilingual.ts';
import type { Block, ReportDocument, Section, ShownToken } from './document.ts';

export function renderMarkdown(document: ReportDocument, language: Language): string {
  const { title, facts, sections, footer } = document;
  const shown = facts.map(({ name, value }) => `${inline(name[language])}: **${inline(value)}**`);
  const parts = [
    `# ${inline(title[language])}`,
    shown.join(' · '),
    inline(say('chart.inHtml')[language]),
    ...sections.map((section, i) => renderSection(section, i + 1, language)),
    '---',
    inline(footer[language]),
  ];
  return `${parts.join('\n\n')}\n`;
}

function renderSection({ title, blocks }: Section, number: number, language: Language): string {
  const parts = blocks.map((block) => renderBlock(block, (text) => text[language]));
  return [`## ${number}. ${inline(title[language])}`, ...parts.filter(Boolean)].join('\n\n');
}

type Say = (text: Bilingual) => string;

function renderBlock(block: Block, word: Say): string {
  switch (block.kind) {
    case 'text':
      return inline(word(block.text));
    case 'heading':
      return `### ${inline(word(block.text))}`;
    case 'list':
      return block.items.map((item) => `- ${inline(word(item))}`).join('\n');
    case 'tiles':
      return block.tiles
        .map(({ label, value, detail }) => {
          const below = detail ? ` (${inline(word(detail))})` : '';
          return `- ${inline(word(label))}: **${inline(word(value))}**${below}`;
        })
        .join('\n');
    case 'table':
      return table(block, word);
    case 'charts':
      return block.charts
        .map(({ title, summary }) => `- **${inline(word(title))}** — ${inline(word(summary))}`)
        .join('\n');
    case 'picture':
      return block.steps.map((step, i) => `${i + 1}. ${inline(word(step))}`).join('\n');
    case 'tokens':
      return tokens(block.tokens, block.legend.map(({ name }) => inline(word(name))).join(' / '));
    case 'answers':
      return answers(block, word);
  }
}

function table({ columns, rows }: Extract<Block, { kind: 'table' }>, word: Say): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    line(columns.map(({ label }) => inline(word(label)))),
    line(columns.map(({ isNumber }) => (isNumber ? '---:' : '---'))),
    ...rows.map((row) => line(row.map(({ text }) => inline(word(text))))),
  ].join('\n');
}

/** Runs of tokens that share a role, the trained ones between brackets. */
function tokens(shown: readonly ShownToken[], caption: string): string {
  const text = shown
    .map(({ text, role }, i) => {
      const isMarked = role !== 'context';
      const opens = isMarked && (i === 0 || shown[i - 1].role === 'context');
      const closes = isMarked && (i === shown.length - 1 || shown[i + 1].role === 'context');
      return `${opens ? '⟦' : ''}${text}${closes ? '⟧' : ''}`;
    })
    .join('');
  return `_${caption}_\n\n${fenced(text)}`;
}

function answers(block: Extract<Block, { kind: 'answers' }>, word: Say): string {
  const right = block.right ? [`**${inline(word(say('samples.right')))}**`, fenced(block.right)] : [];
  const each = block.answers.flatMap(({ name, text, markup, verdicts }) => [
    `**${inline(word(name))}** — ${verdicts.map(({ text }) => inline(word(text))).join(', ')}`,
    fenced(text, markup?.language),
  ]);
  return [`**${inline(word(block.title))}**`, fenced(block.request), ...right, ...each].join('\n\n');
}

/** With a fence longer than any within. */
function fenced(text: string, language = ''): string {
  const longest = Math.max(2, ...Array.from(text.matchAll(/`+/g), ([ticks]) => ticks.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}${language}\n${text}\n${fence}`;
}

/** One line in which nothing is markup. */
function inline(text: string): string {
  return text.replace(/[\r\n]+/g, ' ').replace(/[\\`*_{}[\]<>#|]/g, '\\$&');
}
