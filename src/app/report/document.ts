// The report as a list of sections and blocks, in both languages at once and in no format: html.ts and markdown.ts
// each say how a block looks, so that no sentence or table is written twice.

import type { Bilingual } from './bilingual.ts';

/** A colour: a model's own, or by what it stands for in a chart. */
export type Hue =
  | 'gray'
  | 'ink'
  | 'green'
  | 'violet'
  | 'blue'
  | 'orange'
  | 'ochre'
  | 'teal'
  | 'rose'
  | 'quiet'
  | 'good'
  | 'bad';

export interface Cell {
  text: Bilingual;
  hue?: Hue;
}

export interface Chart {
  title: Bilingual;
  /** A whole `<svg>` element, already escaped. */
  svg: string;
  /** What it shows, in one line: for those who do not see it. */
  summary: Bilingual;
  legend?: { name: Bilingual; hue: Hue; isDashed?: boolean }[];
  note?: Bilingual;
}

/** What the loss does with a token. `reward` is the token at which the reward falls due. */
export type TokenRole = 'context' | 'trained' | 'chosen' | 'rejected' | 'action' | 'reward';

export interface ShownToken {
  text: string;
  role: TokenRole;
  hint?: string;
}

export interface ShownAnswer {
  name: Bilingual;
  hue?: Hue;
  text: string;
  /** The text as code, escaped and marked, and its language. */
  markup?: { html: string; language: string };
  verdicts: { text: Bilingual; tone: 'good' | 'bad' | 'quiet' }[];
}

export interface Tile {
  label: Bilingual;
  value: Bilingual;
  detail?: Bilingual;
  hue?: Hue;
}

export type Block =
  | { kind: 'text'; text: Bilingual; isNote?: boolean }
  | { kind: 'list'; items: Bilingual[] }
  | { kind: 'tiles'; tiles: Tile[] }
  | { kind: 'heading'; text: Bilingual }
  | { kind: 'table'; columns: { label: Bilingual; isNumber: boolean }[]; rows: Cell[][] }
  | { kind: 'charts'; charts: Chart[]; columns: 1 | 2 | 3 }
  /** One picture drawn twice: broad, and for narrow screens. */
  | { kind: 'picture'; broad: string; narrow: string; summary: Bilingual; steps: Bilingual[] }
  | { kind: 'tokens'; tokens: ShownToken[]; legend: { role: TokenRole; name: Bilingual }[] }
  | {
      kind: 'answers';
      title: Bilingual;
      request: string;
      right?: string;
      answers: ShownAnswer[];
      isOpen: boolean;
    };

export interface Section {
  /** The anchor, such as `curves`. */
  id: string;
  title: Bilingual;
  /** In the list of contents. */
  short: Bilingual;
  blocks: Block[];
}

export interface ReportDocument {
  title: Bilingual;
  facts: { name: Bilingual; value: string }[];
  sections: Section[];
  footer: Bilingual;
}
