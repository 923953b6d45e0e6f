// Preloaded into every process of a measured command: in the engine process it writes the processor seconds (user and
// system) at the start, at each step's event and at the end to HEED_BENCH_PROBE. It knows a build by its messages only.

import { writeFileSync } from 'node:fs';

const file = process.env.HEED_BENCH_PROBE;
if (file && process.send && process.argv[1]?.endsWith('job-host.js')) {
  const seconds = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  };
  const marks = { start: seconds(), steps: [] };
  const send = process.send.bind(process);
  process.send = (message, ...rest) => {
    if (message?.kind === 'event' && message.event?.type === 'step') marks.steps.push(seconds());
    if (message?.kind === 'done') writeFileSync(file, JSON.stringify({ ...marks, end: seconds() }));
    return send(message, ...rest);
  };
}
