import type { AdminClient, TestObject } from '../../testbed/admin-client.ts'
import { AdminError } from '../../testbed/admin-client.ts'

/** A generator of numbers in [0, 1) that a seed repeats. Source: mulberry32, public domain. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

export interface OperationsOptions {
  readonly count: number
  readonly seed: number
  readonly namespaces: readonly string[]
  /** Names per resource and namespace: few, so that names are taken again. @default 10 */
  readonly names?: number
  /** @default 8 */
  readonly writers?: number
}

/** The resources that are written: built-in ones and a custom one. */
export const resources = ['pods', 'configmaps', 'widgets.v1.example.com'] as const
/** Their keys in etcd. */
export const prefixes = ['pods/', 'configmaps/', 'example.com/widgets/'] as const

const kinds = [
  { path: (namespace: string) => `/api/v1/namespaces/${namespace}/pods`, make: pod },
  { path: (namespace: string) => `/api/v1/namespaces/${namespace}/configmaps`, make: configMap },
  { path: (namespace: string) => `/apis/example.com/v1/namespaces/${namespace}/widgets`, make: widget },
] as const

/** What is written through. */
export type Writer = Pick<AdminClient, 'create' | 'patch' | 'delete'>

export interface Done {
  readonly created: number
  readonly updated: number
  readonly deleted: number
  /** Calls that failed because the server was away, and were not counted. */
  readonly failed: number
}

/**
 * Random creates, updates and deletes by several writers, names taken again included. A writer owns its names, so it
 * knows what is there. A server that is away is waited for.
 */
export async function operate(admin: Writer, options: OperationsOptions, signal?: AbortSignal): Promise<Done> {
  const { count, seed, namespaces, names = 10, writers = 8 } = options
  const done = { created: 0, updated: 0, deleted: 0, failed: 0 }
  let left = count
  const write = async (writer: number) => {
    const random = seeded(seed * 1000 + writer)
    const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
    const exists = new Set<string>()
    while (left > 0 && !signal?.aborted) {
      left--
      const kind = pick(kinds)
      const name = `o${writer}-${Math.floor(random() * names)}`
      const collection = kind.path(pick(namespaces))
      const path = `${collection}/${name}`
      const isThere = exists.has(path)
      const deletes = random() < 0.3
      const value = String(Math.floor(random() * 1e9))
      try {
        if (!isThere) {
          await admin.create(collection, kind.make(name, value))
          exists.add(path)
          done.created++
        } else if (deletes) {
          await admin.delete(path)
          exists.delete(path)
          done.deleted++
        } else {
          await admin.patch(path, { metadata: { labels: { value } } })
          done.updated++
        }
      } catch (error) {
        left++
        done.failed++
        if (error instanceof AdminError && error.status === 409) exists.add(path)
        else if (error instanceof AdminError && error.status === 404) exists.delete(path)
        else await new Promise<void>((resolve) => setImmediate(resolve))
      }
    }
  }
  await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)))
  return done
}

function pod(name: string, value: string): TestObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { value } },
    spec: { containers: [{ name: 'main', image: `registry.example.com/app:${value}` }] },
  }
}

function configMap(name: string, value: string): TestObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels: { value } }, data: { value } }
}

function widget(name: string, value: string): TestObject {
  return {
    apiVersion: 'example.com/v1',
    kind: 'Widget',
    metadata: { name, labels: { value } },
    spec: { size: Number(value) },
  }
}
