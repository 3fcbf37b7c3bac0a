/** For tests: the real disk until one of its operations, which are counted, fails. */
import { type Disk, type DiskFile, realDisk } from '../disk.ts'

/**
 * What happens at the operation of that number. `fails`: it alone, and nothing of it is done, but half of a write.
 * `fails late`: it alone, when it is done. `dies`: it, and all that follow.
 */
export interface Failure {
  readonly at: number
  readonly how: 'fails' | 'fails late' | 'dies'
}

/** Syncs are counted and not done: what dies here is the process, not the machine. */
export class FailingDisk implements Disk {
  readonly #failure: Failure
  #count = 0

  constructor(failure: Failure) {
    this.#failure = failure
  }

  /** Whether it has come to the operation that fails. */
  get hasFailed(): boolean {
    return this.#count >= this.#failure.at
  }

  makeFolder(path: string): Promise<void> {
    return this.#run(() => realDisk.makeFolder(path))
  }

  list(folder: string): Promise<readonly string[]> {
    return this.#run(() => realDisk.list(folder))
  }

  rename(from: string, to: string): Promise<void> {
    return this.#run(() => realDisk.rename(from, to))
  }

  remove(path: string): Promise<void> {
    return this.#run(() => realDisk.remove(path))
  }

  syncFolder(): Promise<void> {
    return this.#run(async () => undefined)
  }

  async open(path: string, how: 'create' | 'write' | 'read'): Promise<DiskFile> {
    const opened: DiskFile[] = []
    try {
      await this.#run(async () => void opened.push(await realDisk.open(path, how)))
    } catch (error) {
      for (const file of opened) await file.close()
      throw error
    }
    const [file] = opened
    if (!file) throw new Error(`${path} is not open`)
    return {
      size: () => this.#run(() => file.size()),
      read: (buffer, position) => this.#run(() => file.read(buffer, position)),
      write: (bytes, position) =>
        this.#run(
          () => file.write(bytes, position),
          () => file.write(bytes.subarray(0, Math.floor(bytes.length / 2)), position),
        ),
      truncate: (size) => this.#run(() => file.truncate(size)),
      sync: () => this.#run(async () => undefined),
      close: () => file.close(),
    }
  }

  async #run<T>(operation: () => Promise<T>, part: () => Promise<void> = async () => undefined): Promise<T> {
    const { at, how } = this.#failure
    const number = ++this.#count
    if (number < at || (number > at && how !== 'dies')) return await operation()
    if (how === 'fails late') await operation()
    else if (number === at) await part()
    throw Object.assign(new Error(`EIO: operation ${number}`), { code: 'EIO' })
  }
}
