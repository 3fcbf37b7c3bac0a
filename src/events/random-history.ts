/** What a bridge sends over a random history, for property tests of those who receive it. */
import assert from 'node:assert/strict'
import type { Decoded } from './decode.ts'
import { aborted, begin, end, gone, item, left, put, restored, stream } from './scripted-events.ts'

export interface History {
  /** In the order in which it left. */
  readonly sent: readonly Decoded[]
  /** uid -> version of what the cluster holds in the end. The last thing that was sent is the end of a full snapshot. */
  readonly truth: ReadonlyMap<string, number>
}

export interface HistoryOptions {
  /** The server is restored from a backup now and then. @default false */
  readonly restores?: boolean
  /** Two snapshots may begin at one position. Without order nobody can tell which is the newer. @default true */
  readonly idle?: boolean
}

/**
 * Each number is one step: an object comes, changes, leaves the view and enters again, goes, or is followed by another of its
 * name; a snapshot begins, goes on by an item, ends, is aborted or is of mode delta; the bridge is killed, and what
 * happens until it is back nobody sees.
 */
export function randomHistory(
  steps: readonly number[],
  { restores = false, idle = true }: HistoryOptions = {},
): History {
  const bridge = new Bridge({ idle })
  for (const step of steps) bridge.step(step, restores ? 17 : 16)
  bridge.begin()
  bridge.end()
  return { sent: bridge.sent, truth: bridge.truth }
}

class Bridge {
  readonly sent: Decoded[] = []
  truth = new Map<string, number>()
  /** Left the view, and can enter again. */
  readonly #outside = new Set<string>()
  #position = 10
  #names = 0
  readonly #idle: boolean
  /** Where the last snapshot began. */
  #begun = 0
  #snapshots = 0
  #snapshot: { readonly id: string; readonly waiting: string[] } | undefined
  /** Since it was killed no snapshot has ended: the next ones are full until one has. */
  #owed = false
  /** An earlier state, that the server may be restored to. */
  #backup = { position: 9, truth: new Map<string, number>() }

  constructor({ idle }: { readonly idle: boolean }) {
    this.#idle = idle
  }

  step(step: number, kinds: number): void {
    const choice = Math.floor(step / kinds)
    const known = [...this.truth.keys()]
    const uid = known[choice % Math.max(known.length, 1)]
    switch (step % kinds) {
      case 0:
      case 1:
      case 2:
        this.#add(`n${++this.#names}`)
        break
      case 3:
      case 4:
        if (uid) this.#update(uid)
        break
      case 5:
        if (uid) this.#remove(uid)
        break
      case 6:
        if (uid) this.#takeName(uid)
        break
      case 7:
        if (uid) this.#leave(uid)
        break
      case 8:
        for (const back of this.#outside) this.#add(back)
        this.#outside.clear()
        break
      case 9:
        this.begin()
        break
      case 10:
      case 11:
        this.#item()
        break
      case 12:
        this.end()
        break
      case 13:
        if (this.#snapshot) this.sent.push(aborted(this.#snapshot.id, this.#position))
        this.#snapshot = undefined
        break
      case 14:
        this.#delta()
        break
      case 15:
        this.#kill(choice)
        break
      case 16:
        this.#restore(choice)
    }
  }

  begin(): void {
    if (!this.#idle && this.#position === this.#begun) this.#position++
    this.#begun = this.#position
    const id = `${stream}:s${++this.#snapshots}`
    this.#snapshot = { id, waiting: [...this.truth.keys()] }
    this.sent.push(begin(id, this.#position))
  }

  end(): void {
    while (this.#snapshot && this.#snapshot.waiting.length > 0) this.#item()
    if (this.#snapshot) this.sent.push(end(this.#snapshot.id, this.#position, this.truth))
    this.#owed &&= this.#snapshot === undefined
    this.#snapshot = undefined
  }

  #item(): void {
    const uid = this.#snapshot?.waiting.shift()
    const version = uid && this.truth.get(uid)
    if (this.#snapshot && version) this.sent.push(item(uid, version, this.#position, this.#snapshot.id))
  }

  #delta(): void {
    if (this.#snapshot || this.#owed) return
    this.begin()
    const { id } = this.#snapshot ?? assert.fail()
    this.#snapshot = undefined
    this.sent.push(end(id, this.#position, this.truth, { mode: 'delta' }))
  }

  #add(uid: string): void {
    this.truth.set(uid, ++this.#position)
    this.sent.push(put('added', uid, this.#position))
  }

  #update(uid: string): void {
    this.truth.set(uid, ++this.#position)
    this.sent.push(put('updated', uid, this.#position))
  }

  #remove(uid: string): void {
    this.truth.delete(uid)
    this.sent.push(gone(uid, ++this.#position))
  }

  #leave(uid: string): void {
    this.truth.delete(uid)
    this.#outside.add(uid)
    this.sent.push(left(uid, ++this.#position))
  }

  #takeName(uid: string): void {
    const [name, count = '1'] = uid.split('.')
    this.#remove(uid)
    this.#add(`${name}.${Number(count) + 1}`)
  }

  #kill(choice: number): void {
    for (const [index, uid] of [...this.truth.keys()].entries()) {
      if ((index + choice) % 3 === 0) {
        this.truth.delete(uid)
        this.#position++
      }
      if ((index + choice) % 3 === 1) this.truth.set(uid, ++this.#position)
    }
    this.#outside.clear()
    this.#owed = true
    this.begin()
  }

  /** Names of new objects are never used again, also after it: a uid is unique for ever. */
  #restore(choice: number): void {
    const before = this.#position
    const now = { position: this.#position, truth: new Map(this.truth) }
    if (choice % 2 === 0) {
      this.#backup = now
      return
    }
    this.#position = this.#backup.position
    this.truth = new Map(this.#backup.truth)
    this.#outside.clear()
    this.sent.push(restored(before, this.#position))
    this.#owed = true
    this.begin()
  }
}
