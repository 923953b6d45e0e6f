// heed report: writes the report of a road again, from the folders that its stages left; of a recipe of several seeds,
// the report of each and the one over them.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { defineCommand } from '../command.ts';

export const report = defineCommand({
  name: 'report',
  description:
    'write the report of a road, or over the seeds of a recipe: report.html, report.md and report.json',
  options: z.object({
    run: z.string().describe('folder that heed run wrote, of one road or of several seeds'),
  }),
  async run({ run }, terminal) {
    const { seedsIn, writeSeedReportsAgain } = await import('../../report/seed-report.ts');
    const { writeReport } = await import('../../report/report.ts');
    const isOneRoad = existsSync(join(run, 'road.json')) || seedsIn(run).length === 0;
    const written = await (isOneRoad ? writeReport(run) : writeSeedReportsAgain(run));
    terminal.line(written.html);
    return written;
  },
});
