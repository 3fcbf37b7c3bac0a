/** Every generated file of the repository, as it should be. A new generator is one more entry of the list. */
import { configurationFiles } from '../src/config/generate.ts'
import { eventsReference, type GeneratedFile } from '../src/events/reference.ts'
import { chartFiles } from './chart/generate.ts'
import { metricsPage } from './metrics-page.ts'
import { sinkGuide } from './sink-guide.ts'
import { sinkPages } from './sink-pages.ts'

const generators: readonly (() => Promise<readonly GeneratedFile[]>)[] = [
  eventsReference,
  configurationFiles,
  sinkPages,
  sinkGuide,
  metricsPage,
  chartFiles,
]

/** Reads definitions and writes nothing. */
export async function generatedFiles(): Promise<readonly GeneratedFile[]> {
  return (await Promise.all(generators.map((generate) => generate()))).flat()
}
