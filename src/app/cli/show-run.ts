// A run's events on the terminal: the progress line follows the steps, the rest are notes beside it.

import type { RunListener } from '../../align/run/events.ts';
import { type ProgressLine, shortNumber } from './progress.ts';
import type { Terminal } from './terminal.ts';
import { visible } from './visible.ts';

/** @returns a listener to subscribe to the run */
export function showRun(terminal: Terminal): RunListener {
  let progress: ProgressLine | undefined;
  return (event) => {
    switch (event.type) {
      case 'started':
        terminal.note(`${event.command}: ${event.totalSteps} steps on ${event.device}`);
        progress = terminal.progress({ label: event.command, unit: 'steps', total: event.totalSteps });
        return;
      case 'resumed':
        terminal.note(`resuming after step ${event.step} on ${event.device}`);
        progress = terminal.progress({
          label: 'resumed',
          unit: 'steps',
          total: event.totalSteps,
          from: event.step,
        });
        return;
      case 'step': {
        const { loss, learningRate, tokensPerSecond } = event;
        const rate = Math.round(tokensPerSecond).toLocaleString('en-US');
        const fields = [`loss ${shortNumber(loss)}`, `lr ${shortNumber(learningRate)}`, `${rate} tokens/s`];
        progress?.update(event.step, fields);
        return;
      }
      case 'evaluation':
        terminal.note(
          `step ${event.step}: held-out loss ${event.loss.toFixed(4)}, perplexity ${event.perplexity.toFixed(2)}`,
        );
        return;
      case 'sample':
        terminal.note(`step ${event.step}: ${visible(event.prompt)}`);
        terminal.note(visible(event.completion));
        return;
      case 'stopped':
        terminal.warn(`the run stops at step ${event.step}: ${event.reason}`);
        return;
      case 'warning':
        terminal.warn(event.message);
        return;
      case 'alarm':
        terminal.warn(`alarm at step ${event.step}: ${event.message}`);
        return;
      case 'skipped':
        terminal.warn(`${event.count} ${event.what}${event.count === 1 ? '' : 's'} skipped: ${event.reason}`);
        return;
      case 'checkpoint':
        return;
      case 'finished':
        progress?.finish();
        return;
    }
  };
}
