import type { KubeObject } from '../kube/object.ts'
import { parseLabelSelector } from '../lib/label-selector.ts'
import type { SnapshotScope } from './change.ts'

/** Whether an object is in the scope. Throws a SyntaxError for a selector that is none. */
export function within({ namespaces, labelSelector }: SnapshotScope): (object: KubeObject) => boolean {
  const names = namespaces && new Set(namespaces)
  const isSelected = parseLabelSelector(labelSelector ?? '')
  return (object) => (names?.has(object.metadata.namespace ?? '') ?? true) && isSelected(object)
}

/** Of what each of them restricts. */
export function isSameScope(a: SnapshotScope, b: SnapshotScope): boolean {
  return a.labelSelector === b.labelSelector && String(a.namespaces) === String(b.namespaces)
}
