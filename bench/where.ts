/**
 * What a route's `where` costs for one object, beside parsing that object, which has to be done anyway. In this process:
 * there is nothing to send.
 */
import { performance } from 'node:perf_hooks'
import type { KubeObject } from '../src/kube/object.ts'
import { createRedaction } from '../src/redact/redact.ts'
import { compileExpression } from '../src/route/expression.ts'
import { Pods } from './support/pods.ts'
import type { Report } from './support/report.ts'
import { median } from './support/statistics.ts'

export const description = 'A where, for each object, against parsing the object: microseconds.'

const expressions = [
  "object.kind == 'Pod'",
  "object.kind != 'Pod' || object.status.phase != 'Succeeded'",
  "object.metadata.namespace in ['shop', 'pay'] && object.metadata.?labels.?team.orValue('') != 'test'",
  "object.spec.containers.exists(c, c.image.startsWith('registry.example.com/'))",
  "object.status.conditions.exists(c, c.type == 'Ready' && c.status == 'False')",
  'object.status.missing == 1',
] as const

export interface Size {
  readonly objects: number
  readonly rounds: number
  readonly seed: number
}

export interface Row {
  readonly expression: string
  /** Median of the rounds, of one object. */
  readonly micros: number
  /** By the microseconds that parsing the object takes. */
  readonly ofParsing: number
}

export function measure({ objects, rounds, seed }: Size): readonly Row[] {
  const pods = new Pods({ objects, seed })
  const frames = Array.from({ length: objects }, (_, number) => pods.update(number).text)
  const parse = () => frames.map((text) => (JSON.parse(text) as { readonly object: KubeObject }).object)
  const perObject = (work: () => void) => {
    const begun = performance.now()
    work()
    return ((performance.now() - begun) * 1000) / objects
  }
  // as routes get them: without managedFields
  const parsed = parse().map(createRedaction({ paths: [], env: [] }))
  const parsing: number[] = []
  const taken = expressions.map((expression) => ({ ...compileExpression(expression), micros: [] as number[] }))
  // the first round, which is not counted, is for the compiler
  for (let round = 0; round <= rounds; round++) {
    const parseMicros = perObject(parse)
    if (round > 0) parsing.push(parseMicros)
    for (const { test, micros } of taken) {
      const testMicros = perObject(() => parsed.forEach((object) => void test(object)))
      if (round > 0) micros.push(testMicros)
    }
  }
  return taken.map(({ text, micros }) => ({
    expression: text,
    micros: median(micros),
    ofParsing: median(micros) / median(parsing),
  }))
}

export async function run(): Promise<Report> {
  const rows = measure({ objects: 1_000, rounds: 50, seed: 1 })
  return {
    result: { rows },
    columns: ['where', 'us/object', 'of parsing'],
    rows: rows.map(({ expression, micros, ofParsing }) => [expression, micros.toFixed(2), ofParsing.toFixed(2)]),
  }
}
