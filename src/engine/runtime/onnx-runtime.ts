// The one place that loads ONNX Runtime. Its Node build reports usage to a Microsoft host unless this variable is set
// before the native library starts; nothing leaves the machine that the user did not ask for. Importing `heed` sets it,
// and the processes that heed starts inherit it.

import { createRequire } from 'node:module';

process.env.ORT_DISABLE_TELEMETRY = '1';

export type OnnxRuntime = typeof import('onnxruntime-node');

let loaded: OnnxRuntime | undefined;

/** Loaded when first used: the native library takes a while, and `heed --help` needs none of it. */
export function onnxRuntime(): OnnxRuntime {
  loaded ??= createRequire(import.meta.url)('onnxruntime-node') as OnnxRuntime;
  return loaded;
}
