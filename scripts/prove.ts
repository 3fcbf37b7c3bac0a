/** `npm run prove -- NAME [ARGUMENTS]`: the long proofs, with their figures. Without a name: which there are. */
import { globSync } from 'node:fs'
import { basename } from 'node:path'

interface Proof {
  /** One line. */
  readonly description: string
  /** Prints its figures. Rejects if what it is to prove does not hold. */
  prove(args: readonly string[]): Promise<void>
}

const [name, ...args] = process.argv.slice(2)
const proofs = new Map(globSync('test/proofs/*.ts').map((file) => [basename(file, '.ts'), `../${file}`] as const))
const load = async (file: string) => (await import(file)) as Proof
const file = name === undefined ? undefined : proofs.get(name)

if (file) {
  await (await load(file)).prove(args)
} else {
  if (name !== undefined) console.error(`There is no proof ${name}.\n`)
  for (const [known, path] of [...proofs].sort()) console.log(`${known.padEnd(20)} ${(await load(path)).description}`)
  process.exitCode = name === undefined ? 0 : 2
}
