// What went otherwise than planned along a pipeline: stages that did not come to their end, runs that were stopped, updates
// that changed nothing.

import type { Pipeline, PipelineStage } from '../recipe/pipeline-file.ts';
import type { StageEvents } from './curves.ts';
import { isFinished } from './read-pipeline.ts';
import type { Incident, Report } from './report-json.ts';

export function incidentsOf(pipeline: Pipeline, events: StageEvents): Report['incidents'] {
  const incidents = pipeline.stages.map((stage) => [stage.name, incidentOf(stage, events)] as const);
  return Object.fromEntries(incidents.filter(([, incident]) => Object.keys(incident).length > 0));
}

function incidentOf(stage: PipelineStage, events: StageEvents): Incident {
  const { stopped, skipped } = events[stage.name] ?? {};
  return {
    ...(!isFinished(stage) && { unfinished: stage.status }),
    ...(stopped && { stopped }),
    ...(skipped && { skipped }),
  };
}
