// A recipe at work on the terminal: a line as each stage starts, the stage's own progress, a line when it is done.

import { shown } from '../recipe/plan-pipeline.ts';
import type { PipelineEvent } from '../recipe/run-pipeline.ts';
import type { StageRecord } from '../recipe/stage-record.ts';
import { bytesText, secondsText } from './quantity-text.ts';
import type { Terminal } from './terminal.ts';

/** @returns a listener for `runPipeline` */
export function showPipeline(terminal: Terminal): (event: PipelineEvent) => void {
  return (event) => {
    const { stage, number, count } = event;
    const place = `[${number}/${count}] ${stage.name}`;
    switch (event.type) {
      case 'unchanged':
        terminal.line(`${place}: unchanged (${cost(event.record)})`);
        return;
      case 'started': {
        const start = `${place}: ${event.resumes ? 'resuming ' : ''}${stage.command.name}`;
        terminal.line(`${terminal.coloured(start, 'bold')} → ${shown(stage.folder)}`);
        return;
      }
      case 'waiting':
        terminal.note(`${place}: waiting for an earlier run to save and end`);
        return;
      case 'finished':
        terminal.line(`${place}: done in ${cost(event.record)}`);
        return;
      case 'interrupted':
        terminal.line(`${place}: stopped; the same command goes on from here`);
        return;
    }
  };
}

function cost({ seconds, peakMemoryBytes }: StageRecord): string {
  return `${secondsText(seconds)}, ${bytesText(peakMemoryBytes)}`;
}
