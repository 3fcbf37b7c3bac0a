/**
 * For tests: the rules by which a stream goes on, starts over and makes up for what was missed, each broken. Lives at
 * random must notice every one of them.
 */
export interface Mutant {
  /** What is no longer so. */
  readonly without: string
  /** Of src/. */
  readonly file: string
  /** Stands there exactly once. */
  readonly from: string
  readonly to: string
}

const stream = 'bridge/stream.ts'
const notes = 'bridge/stream-notes.ts'
const output = 'bridge/output.ts'
const ladder = 'reconcile/ladder.ts'
const snapshots = 'reconcile/snapshots.ts'
const ledger = 'state/ledger.ts'

export const mutants: readonly Mutant[] = [
  {
    without: 'that a sink may hold an object is on the disk before it is offered',
    file: notes,
    from: 'if (expected.length > 0) await abortable(this.#write([...this.#takeOwed(), ...expected]), signal)',
    to: 'if (expected.length > 0) void this.#write([...this.#takeOwed(), ...expected])',
  },
  {
    without: 'what is owed is noted before entries that count it as told',
    file: notes,
    from: 'this.#write([...owed, ...this.#ledger.takeChanged(), ...notes])',
    to: 'this.#write([...this.#ledger.takeChanged(), ...owed, ...notes])',
  },
  {
    without: 'after a gap, what is held and not listed is ended',
    file: stream,
    from: 'if (!this.#gap) return\n',
    to: 'if (this.#gap !== null) return\n',
  },
  {
    without: 'of several objects that had one name all but the one that has it are ended',
    file: stream,
    from: 'if (here?.metadata.uid === held.uid) continue\n',
    to: 'if (here) continue\n',
  },
  {
    without: 'that the server was restored is remembered until it was told',
    file: stream,
    from: 'this.#notes.record([...owed, ',
    to: 'this.#notes.record([...owed.slice(9), ',
  },
  {
    without: 'the store stays where it was read up to while a stream drains',
    file: stream,
    from: 'informer.deltas(drain)',
    to: 'informer.deltas(stop)',
  },
  {
    without: 'an object that the ledger holds leaves, whatever it was before',
    file: 'bridge/form.ts',
    from: 'change.previous && (isWatched || isMember)',
    to: 'change.previous',
  },
  {
    without: 'what was settled in an earlier life is not told again',
    file: output,
    from: 'return compareResourceVersions(change.resourceVersion, this.#floor) <= 0',
    to: 'return compareResourceVersions(change.resourceVersion, this.#floor) < 0',
  },
  {
    without: 'a debt is repaid with the end of its snapshot, not with its begin',
    file: output,
    from: "this.#standing = { type: 'repaying', debt, slot, snapshotId: id }",
    to: "this.#standing = { type: 'repaying', debt, slot, snapshotId: id }\n    this.#repaid()",
  },
  {
    without: 'what is owed stays owed when the queue overflows again',
    file: output,
    from: "const kind = this.#due ?? 'missed'",
    to: "const kind = 'missed'",
  },
  {
    without: 'without snapshots a catch-up is over when its deletions were settled',
    file: output,
    from: 'this.#ahead === 0 &&',
    to: '',
  },
  {
    without: 'a lower version at the server means that it was restored',
    file: ladder,
    from: 'compareResourceVersions(version, newest) > 0',
    to: 'compareResourceVersions(version, newest) > 0 && newest === version',
  },
  {
    without: 'a first list at a lower version than known ones means the same',
    file: stream,
    from: 'if (!isProven && ',
    to: 'if (isProven === null && ',
  },
  {
    without: 'a restored server is still one after a crash',
    file: ladder,
    from: 'if (isOwedRestore(state)) return announceRestored(options)',
    to: '',
  },
  {
    without: 'a sink whose view was redefined is owed a catch-up',
    file: ladder,
    from: "if (known?.view !== view) return { kind: 'missed', cause: 'redefined' }",
    to: '',
  },
  {
    without: 'what is owed outlives the process',
    file: ladder,
    from: "if (kind) return { kind, cause: 'restart' }",
    to: '',
  },
  {
    without: 'no snapshot begins before the stream has been where the server was',
    file: 'reconcile/reconciler.ts',
    from: 'if (this.#notBefore && compareResourceVersions(this.#position, this.#notBefore) < 0) return false',
    to: '',
  },
  {
    without: 'a catch-up tells the end of what is not there any more',
    file: snapshots,
    from: 'if (isHere && (audience.admits?.(here) ?? true)) continue',
    to: 'continue',
  },
  {
    without: 'a catch-up tells the end of what does not fit any more',
    file: snapshots,
    from: 'if (isHere && (audience.admits?.(here) ?? true)) continue',
    to: 'if (isHere) continue',
  },
  {
    without: 'a position is settled when all that happened there is',
    file: 'state/watermark.ts',
    from: 'if (next?.position !== first.position) this.#value = first.position',
    to: 'this.#value = first.position',
  },
  {
    without: 'an end that was not told is still to be told',
    file: ledger,
    from: "if (open && what === 'end') open.end = 'none'",
    to: '',
  },
  {
    without: 'told is what all required sinks have settled',
    file: ledger,
    from: 'if (!settling || (settling.by & needed) !== needed) return',
    to: 'if (!settling) return',
  },
  {
    without: 'an end waits for all before it',
    file: 'delivery/fences.ts',
    from: 'if (stream.unsettled === 0) {',
    to: 'if (stream.unsettled >= 0) {',
  },
  {
    without: 'nothing overtakes a begin, a gap or an end',
    file: 'delivery/fences.ts',
    from: 'if (stream.fence) {\n',
    to: 'if (stream.fence?.kind === null) {\n',
  },
  {
    without: 'two changes in one are told as the newer one',
    file: 'translate/object-event.ts',
    from: 'new ObjectEvent(facts, newer.#payload)',
    to: 'new ObjectEvent(facts, this.#payload)',
  },
]
