// Data files to rows of tokens with a report: read, recognise, tokenise, count. Nothing here needs a model, so a
// mistake in the data is reported before one is loaded.

import { createHash } from 'node:crypto';
import { UserError } from '../../engine/errors.ts';
import { type PromptTokenizer, requireEndToken } from '../../language/text/prompt-tokenizer.ts';
import { type Fingerprint, startFingerprint } from './fingerprint.ts';
import { faultOf, type JsonRow, type ReadOptions, type RowFault, readRows, setAside } from './read.ts';
import {
  type DataRecord,
  type InstructionRecord,
  type MarkedRecord,
  type PreferenceRecord,
  type RankingRecord,
  recognise,
} from './records.ts';
import { type DataReport, DataTally } from './report.ts';
import { type Dropped, isDropped, type RowSource, reasonOf, type TokenRow } from './token-row.ts';
import {
  type TokenizeOptions,
  tokenizeInstruction,
  tokenizeMarked,
  tokenizePreference,
  tokenizeRanking,
} from './tokenize.ts';

export interface LoadOptions extends Omit<TokenizeOptions, 'onNotice'> {
  /** Stop at the first row that is quarantined. */
  strict?: boolean;
  /** Sees each row that is quarantined, unreadable or not fit to train on; the run keeps it in quarantine.jsonl. */
  onFault?: (fault: RowFault) => void;
  /** Called about every thousand rows. */
  onProgress?: (progress: { file: string; rows: number; bytes: number }) => void;
  maxRowBytes?: number;
}

export interface PreferenceRow {
  chosen: TokenRow;
  rejected: TokenRow;
  /** By how much it was preferred, where the row says so. */
  strength?: number;
}

/** A single answer, and whether people called it good. */
export interface MarkedRow {
  answer: TokenRow;
  isDesirable: boolean;
}

/** Answers to one prompt, the best first. */
export interface RankingRow {
  answers: TokenRow[];
}

const ROWS_PER_PROGRESS = 1000;

/** Reads, tokenises and counts one kind of row. */
type Load<Row> = (
  files: readonly string[],
  tokenizer: PromptTokenizer,
  options: LoadOptions,
) => Promise<{ rows: Row[]; report: DataReport }>;

/** Instruction rows of all files, in order; errors as loadRows. */
export const loadInstructionRows: Load<TokenRow> = (...asked) =>
  loadRows(
    {
      accepts: isInstruction,
      expected: 'an instruction (Alpaca, prompt/completion or messages)',
      take: tokenizeInstruction,
      sequences: (row) => [row],
      says: digest,
    },
    ...asked,
  );

/** Preference rows of all files, in order; errors as loadRows. Contradictions are kept and counted. */
export const loadPreferenceRows: Load<PreferenceRow> = (...asked) =>
  loadRows(
    {
      accepts: isPreference,
      expected: 'a preference (prompt, chosen, rejected)',
      take: takePreference,
      sequences: ({ chosen, rejected }) => [chosen, rejected],
      says: opinionOf,
      contradicts: oppositeOf,
    },
    ...asked,
  );

/** Marked answers and preferences of all files, in order; errors and contradictions as loadPreferenceRows. */
export const loadMarkedRows: Load<MarkedRow | PreferenceRow> = (...asked) =>
  loadRows(
    {
      accepts: isMarkedOrPreference,
      expected:
        'an answer with a label of true or false (prompt, completion, label) or a preference (prompt, chosen, rejected)',
      take: (record, ...by) => (isMarked(record) ? takeMarked(record, ...by) : takePreference(record, ...by)),
      sequences: (row) => ('answer' in row ? [row.answer] : [row.chosen, row.rejected]),
      says: opinionOf,
      contradicts: oppositeOf,
    },
    ...asked,
  );

/** Rankings of all files, in order, a preference being one of two answers; errors as loadRows. */
export const loadRankingRows: Load<RankingRow> = (...asked) =>
  loadRows(
    {
      accepts: isComparison,
      expected: 'a ranking (prompt, ranked) or a preference (prompt, chosen, rejected)',
      take: takeRanking,
      sequences: ({ answers }) => answers,
      says: ({ answers }) => answers.map(digest).join(' '),
    },
    ...asked,
  );

function takePreference(
  record: PreferenceRecord,
  tokenizer: PromptTokenizer,
  settings: TokenizeOptions,
  source: RowSource,
): PreferenceRow | Dropped {
  const pair = tokenizePreference(record, tokenizer, settings, source);
  return isDropped(pair) || record.strength === undefined ? pair : { ...pair, strength: record.strength };
}

function takeMarked(
  record: MarkedRecord,
  tokenizer: PromptTokenizer,
  settings: TokenizeOptions,
  source: RowSource,
): MarkedRow | Dropped {
  const answer = tokenizeMarked(record, tokenizer, settings, source);
  return isDropped(answer) ? answer : { answer, isDesirable: record.label };
}

function takeRanking(
  record: PreferenceRecord | RankingRecord,
  tokenizer: PromptTokenizer,
  settings: TokenizeOptions,
  source: RowSource,
): RankingRow | Dropped {
  if (record.kind === 'ranking' || record.kind === 'ranking-tokens') {
    const answers = tokenizeRanking(record, tokenizer, settings, source);
    return isDropped(answers) ? answers : { answers };
  }
  const pair = tokenizePreference(record, tokenizer, settings, source);
  return isDropped(pair) ? pair : { answers: [pair.chosen, pair.rejected] };
}

interface RowKind<Accepted extends DataRecord, Row extends object> {
  accepts: (record: DataRecord) => record is Accepted;
  /** For the message when a row is another kind of record. */
  expected: string;
  take: (
    record: Accepted,
    tokenizer: PromptTokenizer,
    settings: TokenizeOptions,
    source: RowSource,
  ) => Row | Dropped;
  sequences: (row: Row) => TokenRow[];
  /** Rows that say the same are duplicates. */
  says: (row: Row) => string;
  /** What the opposite of the row would say, where there is one. */
  contradicts?: (row: Row) => string;
}

/**
 * @throws UserError when no row is left, when a file cannot be opened, or when the tokenizer has no usable EOS;
 * FormatError at the first bad row when strict
 */
async function loadRows<Accepted extends DataRecord, Row extends object>(
  kind: RowKind<Accepted, Row>,
  files: readonly string[],
  tokenizer: PromptTokenizer,
  options: LoadOptions,
): Promise<{ rows: Row[]; report: DataReport }> {
  requireEndToken(tokenizer);
  const tally = new DataTally();
  const settings = { ...options, onNotice: tally.addNotice.bind(tally) };
  const take = (record: Accepted, source: RowSource) => kind.take(record, tokenizer, settings, source);
  const onIgnored = tally.addIgnored.bind(tally);
  const said = new Set<string>();
  const rows: Row[] = [];
  const fingerprints: Fingerprint[] = [];
  for (const file of files) {
    for await (const row of readFile(file, options, tally, { ...kind, take, onIgnored }, fingerprints)) {
      tally.addKept(kind.sequences(row));
      const own = kind.says(row);
      if (kind.contradicts && said.has(kind.contradicts(row))) tally.addNotice('contradiction');
      if (said.has(own)) tally.addNotice('duplicate');
      said.add(own);
      rows.push(row);
    }
  }
  if (rows.length > 0) return { rows, report: tally.report(fingerprints) };
  throw new UserError({
    where: files.join(', ') || 'data',
    expected: `at least one row that is ${kind.expected}`,
    found: tally.describeLosses(),
  });
}

/** What a file's rows are taken by. */
interface Taking<Accepted extends DataRecord, Row extends object>
  extends Pick<RowKind<Accepted, Row>, 'accepts' | 'expected'> {
  take: (record: Accepted, source: RowSource) => Row | Dropped;
  onIgnored: (key: string) => void;
}

async function* readFile<Accepted extends DataRecord, Row extends object>(
  file: string,
  options: LoadOptions,
  tally: DataTally,
  kind: Taking<Accepted, Row>,
  fingerprints: Fingerprint[],
): AsyncGenerator<Row> {
  const fingerprint = startFingerprint(file);
  let bytes = 0;
  const reading: ReadOptions = {
    strict: options.strict,
    maxRowBytes: options.maxRowBytes,
    onFault(fault) {
      tally.addUnreadable(fault);
      options.onFault?.(fault);
    },
    onBytes(chunk) {
      bytes += chunk.length;
      fingerprint.add(chunk);
    },
  };
  for await (const json of readRows(file, reading)) {
    const outcome = takeRow(file, json, reading, kind);
    if (outcome && isDropped(outcome)) drop(file, json, outcome, options, tally);
    else if (outcome) yield outcome;
    if (tally.rows % ROWS_PER_PROGRESS === 0) options.onProgress?.({ file, rows: tally.rows, bytes });
  }
  options.onProgress?.({ file, rows: tally.rows, bytes });
  fingerprints.push(fingerprint.finish());
}

function takeRow<Accepted extends DataRecord, Row extends object>(
  file: string,
  row: JsonRow,
  reading: ReadOptions,
  kind: Taking<Accepted, Row>,
): Row | Dropped | undefined {
  const record = recognise(row.value, kind.onIgnored);
  if (record.kind !== 'unrecognised' && kind.accepts(record)) {
    return kind.take(record, { file, line: row.line });
  }
  const reason =
    record.kind === 'unrecognised'
      ? record.reason
      : `expected ${kind.expected}, got ${describeRecord(record)}`;
  setAside(faultOf(file, row, reason), reading);
  return undefined;
}

/**
 * Counts a row that cannot be trained on and sets it aside, unless it is what `--truncation drop` is for: an answer that
 * does not fit. A prompt that fills the context is a fault all the same, as where answers are sampled.
 */
function drop(
  file: string,
  row: JsonRow,
  outcome: Dropped,
  { truncation, strict, onFault }: LoadOptions,
  tally: DataTally,
): void {
  tally.addDropped(outcome.dropped, { file, line: row.line });
  if (truncation === 'drop' && outcome.dropped === 'sequence-too-long') return;
  tally.addFault();
  setAside(faultOf(file, row, reasonOf(outcome)), { strict, onFault: (fault) => onFault?.(fault) });
}

/** An answer that people called bad is not one to learn. */
function isInstruction(record: DataRecord): record is InstructionRecord {
  return !isComparison(record) && record.kind !== 'text' && record.label !== false;
}

function isPreference(record: DataRecord): record is PreferenceRecord {
  return record.kind.startsWith('preference');
}

/** Only KTO reads labels: whoever has them may have chosen another command. */
function describeRecord(record: DataRecord): string {
  const hint = isMarked(record) ? ` with the label ${record.label}, which heed kto reads` : '';
  return `a ${record.kind} row${hint}`;
}

function isMarked(record: DataRecord): record is MarkedRecord {
  return 'label' in record && record.label !== undefined;
}

function isMarkedOrPreference(record: DataRecord): record is MarkedRecord | PreferenceRecord {
  return isMarked(record) || isPreference(record);
}

function isComparison(record: DataRecord): record is PreferenceRecord | RankingRecord {
  return isPreference(record) || record.kind === 'ranking' || record.kind === 'ranking-tokens';
}

function digest(row: TokenRow): string {
  return createHash('sha1').update(row.ids).update(row.isTrained).digest('base64').slice(0, 16);
}

type Opinion = MarkedRow | PreferenceRow;

function opinionOf(row: Opinion): string {
  if ('answer' in row) return `${digest(row.answer)} ${row.isDesirable}`;
  return `${digest(row.chosen)} ${digest(row.rejected)}`;
}

/** Chosen and rejected, or good and bad, change places. */
function oppositeOf(row: Opinion): string {
  if ('answer' in row) return opinionOf({ ...row, isDesirable: !row.isDesirable });
  return opinionOf({ chosen: row.rejected, rejected: row.chosen });
}
