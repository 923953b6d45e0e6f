// The report of a pipeline: report.json, report.html, report.md and report.ko.md, from pipeline.json and the stages' folders.

import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { diskFiles } from '../../language/checkpoint/files.ts';
import { composeDocument } from './compose.ts';
import type { ReportDocument } from './document.ts';
import { readExhibits } from './exhibits.ts';
import { renderHtml } from './html.ts';
import { renderMarkdown } from './markdown.ts';
import { measurePipeline } from './measure.ts';
import { openPipeline } from './read-pipeline.ts';

/** Where the report's files are. */
export interface WrittenReport {
  reportJson: string;
  html: string;
  /** In English; the Korean one lies beside it. */
  markdown: string;
}

/**
 * Writes the report into the pipeline's folder, over an earlier one. Each file appears whole or not at all.
 * @param pipelineFolder where `heed run` wrote pipeline.json
 * @throws UserError when there is no pipeline.json or the disk refuses; FormatError naming a file that cannot be read
 */
export async function writeReport(pipelineFolder: string): Promise<WrittenReport> {
  const pipeline = await openPipeline(pipelineFolder);
  const report = await measurePipeline(pipeline);
  const document = composeDocument(report, await readExhibits(pipeline));
  return writeDocument(pipelineFolder, report, document);
}

/** The figures as JSON, and the page and both texts of the document. */
export async function writeDocument(
  folder: string,
  figures: object,
  document: ReportDocument,
): Promise<WrittenReport> {
  const paths = {
    reportJson: join(folder, 'report.json'),
    html: join(folder, 'report.html'),
    markdown: join(folder, 'report.md'),
  };
  await writeWhole(paths.markdown, renderMarkdown(document, 'en'));
  await writeWhole(join(folder, 'report.ko.md'), renderMarkdown(document, 'ko'));
  await writeWhole(paths.html, renderHtml(document));
  await writeWhole(paths.reportJson, `${JSON.stringify(figures, null, 2)}\n`);
  return paths;
}

async function writeWhole(path: string, text: string): Promise<void> {
  const staging = `${path}.${randomUUID()}.tmp`;
  try {
    await diskFiles.write(staging, [Buffer.from(text)]);
    await diskFiles.rename(staging, path);
  } finally {
    await diskFiles.remove(staging);
  }
}
