/** Where a value comes from. Lines and columns count from 1. */
export type Place =
  | { readonly type: 'file'; readonly file: string; readonly line: number; readonly column: number }
  | { readonly type: 'environment'; readonly name: string }
  | { readonly type: 'argument'; readonly name: string }

/** One thing that is wrong with a configuration. No text of it holds a credential. */
export interface ConfigProblem {
  readonly place: Place
  /** As in `sources[0].labelSelector`; `''` for the file as a whole. */
  readonly path: string
  readonly message: string
  /** What would be right. */
  readonly expected?: string | undefined
  /** The valid name that was probably meant. */
  readonly nearest?: string | undefined
}

/** A configuration that is refused. Carries every problem at once, in the order of the file. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly ConfigProblem[]

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(formatProblem).join('\n'))
    this.problems = problems
  }
}

/** For people: one line for each problem, then their number. */
export function formatConfigError({ message, problems }: ConfigError): string {
  return `${message}\nthe configuration is not valid: ${problems.length} problem${problems.length === 1 ? '' : 's'}\n`
}

/** `deltawire.yaml:12:5 sources[0].labelSelctor: unknown key; did you mean labelSelector?` */
export function formatProblem({ place, path, message, expected, nearest }: ConfigProblem): string {
  const subject = path === '' || place.type === 'argument' ? formatPlace(place) : `${formatPlace(place)} ${path}`
  const hint = nearest === undefined ? '' : `; did you mean ${nearest}?`
  return `${subject}: ${message}${expected === undefined ? '' : `; expected ${expected}`}${hint}`
}

function formatPlace(place: Place): string {
  if (place.type === 'file') return `${place.file}:${place.line}:${place.column}`
  return place.type === 'environment' ? `environment ${place.name}` : `argument --${place.name}`
}

/** The way to a value: names of members and indices of elements. */
export type ValuePath = readonly (string | number)[]

/** `sources[0].labelSelector`. A name that would be ambiguous is quoted: `sinks[0].headers["x.y"]`. */
export function formatPath(path: ValuePath): string {
  let text = ''
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`
    else if (/^[A-Za-z_$][\w$-]*$/.test(step)) text += text === '' ? step : `.${step}`
    else text += `[${JSON.stringify(step.slice(0, 100))}]`
  }
  return text
}
