// heed report: writes the report of a road again, from the folders that its stages left.

import { z } from 'zod';
import { defineCommand } from '../command.ts';

export const report = defineCommand({
  name: 'report',
  description: 'write the report of a road: report.html, report.md and report.json',
  options: z.object({
    run: z.string().describe('folder that heed run wrote'),
  }),
  async run({ run }, terminal) {
    const { writeReport } = await import('../../report/report.ts');
    const written = await writeReport(run);
    terminal.line(written.html);
    return written;
  },
});
