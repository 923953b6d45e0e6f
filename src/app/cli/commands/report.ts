// heed report: writes the report of a pipeline again, from the folders that its stages left; of a recipe of several seeds,
// the report of each and the one over them.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { defineCommand } from '../command.ts';

export const report = defineCommand({
  name: 'report',
  description:
    'write the report of a pipeline, or over the seeds of a recipe: report.html, report.md and report.json',
  options: z.object({
    run: z.string().describe('folder that heed run wrote, of one pipeline or of several seeds'),
  }),
  async run({ run }, terminal) {
    const { seedsIn, writeSeedReportsAgain } = await import('../../report/seed-report.ts');
    const { writeReport } = await import('../../report/report.ts');
    const isOnePipeline = existsSync(join(run, 'pipeline.json')) || seedsIn(run).length === 0;
    const written = await (isOnePipeline ? writeReport(run) : writeSeedReportsAgain(run));
    terminal.line(written.html);
    return written;
  },
});
