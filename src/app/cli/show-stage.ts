// What a stage says, on the terminal: progress, faults and text while it runs, its summary at the end.

import type { StageEvent } from '../stages/run-stage.ts';
import type { Summary, SummaryBlock } from '../stages/summary.ts';
import { patientProgress } from './patient-progress.ts';
import { showFaults } from './show-faults.ts';
import { showRun } from './show-run.ts';
import type { Terminal } from './terminal.ts';
import { visible } from './visible.ts';

export interface StageView {
  event(event: StageEvent): void;
  /** Ends a text that was begun. */
  end(): void;
  /** Leaves out completions that were shown as they came. */
  summary(summary: Summary): void;
}

export function showStage(terminal: Terminal): StageView {
  const run = showRun(terminal);
  const faults = showFaults(terminal);
  const lines = new Map<string, ReturnType<typeof patientProgress>>();
  let hasText = false;
  const end = () => {
    if (hasText) terminal.line();
  };
  return {
    event(event) {
      if (event.type === 'fault') faults.add(event.fault);
      else if (event.type === 'text') {
        hasText = true;
        terminal.piece(visible(event.text));
      } else if (event.type === 'progress') {
        const line = lines.get(event.label) ?? patientProgress(terminal, event);
        lines.set(event.label, line);
        line(event.done, event.total);
      } else run(event);
    },
    end,
    summary(summary) {
      end();
      faults.finish();
      for (const block of summary) {
        if (block.kind !== 'completion' || !hasText) showBlock(block, terminal);
      }
    },
  };
}

function showBlock(block: SummaryBlock, terminal: Terminal): void {
  if (block.kind === 'table') terminal.table(block.header, block.rows);
  else if (block.kind === 'note') terminal.note(visible(block.text));
  else if (block.kind === 'warning') terminal.warn(block.text);
  else {
    const heading = block.kind === 'completion' ? block.heading : undefined;
    if (heading !== undefined) terminal.line(terminal.coloured(visible(heading), 'bold'));
    terminal.line(visible(block.text));
    if (heading !== undefined) terminal.line();
  }
}
