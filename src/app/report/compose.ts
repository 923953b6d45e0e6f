// The report's sections in their order. A section without figures leaves itself out.

import { say } from './bilingual.ts';
import type { ReportDocument } from './document.ts';
import type { Exhibits } from './exhibits.ts';
import { namesOf } from './names.ts';
import type { Report } from './report-json.ts';
import { costsSection } from './sections/costs.ts';
import { curvesSection } from './sections/curves.ts';
import { hackingSection } from './sections/hacking.ts';
import { headline } from './sections/headline.ts';
import { methodsSection } from './sections/methods.ts';
import { optimisationSection } from './sections/optimisation.ts';
import { pipelineSection } from './sections/pipeline.ts';
import { rewardModelSection } from './sections/reward-model.ts';
import { rowsSection } from './sections/rows.ts';
import { samplesSection } from './sections/samples.ts';
import { worldNamed } from './worlds.ts';

export function composeDocument(report: Report, exhibits: Exhibits): ReportDocument {
  const [names, world] = [namesOf(report.stages), worldNamed(report.world)];
  const sections = [
    headline(report, names, world),
    pipelineSection(report, names),
    rowsSection(exhibits, names),
    curvesSection(report, names),
    methodsSection(report, names, world),
    optimisationSection(report, names, world),
    hackingSection(report, names, world),
    samplesSection(report, names, world),
    rewardModelSection(report, names, world),
    costsSection(report, names),
  ];
  return {
    title: say('page.title', { recipe: report.recipe }),
    facts: [
      { name: say('page.recipe'), value: report.recipe },
      { name: say('page.seed'), value: String(report.seed) },
    ],
    sections: sections.filter((section) => section !== undefined),
    footer: say('page.footer'),
  };
}
