import { badRequest } from './status.ts'
import type { Version } from './table.ts'

/** Says whether a stored object is in what a list or watch asks for. */
export type Selector = (version: Version) => boolean

const REQUIREMENT =
  /^(?:(!)\s*([^\s!=,()]+)|([^\s!=,()]+)(?:\s*(==|=|!=)\s*([^\s!=,()]*)|\s+(in|notin)\s*\(([^()]*)\))?)$/

/**
 * Label selectors: `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b)`, `a`, `!a`, joined by commas.
 * `!=` and `notin` also select objects without the label. Throws a 400 for anything else.
 */
export function labelSelector(text: string): Selector {
  const requirements = splitOutsideParentheses(text).map(labelRequirement)
  return (version) => requirements.every((requirement) => requirement(version))
}

function labelRequirement(text: string): Selector {
  const match = REQUIREMENT.exec(text)
  if (!match) throw badRequest(`unable to parse requirement: ${JSON.stringify(text)}`)
  const [, not, absent, key = '', operator, value = '', setOperator, list = ''] = match
  if (not) return ({ labels }) => labels[absent ?? ''] === undefined
  if (setOperator) {
    const values = new Set(list.split(',').map((one) => one.trim()))
    if (setOperator === 'in') return ({ labels }) => labels[key] !== undefined && values.has(labels[key])
    return ({ labels }) => labels[key] === undefined || !values.has(labels[key])
  }
  if (operator === undefined) return ({ labels }) => labels[key] !== undefined
  if (operator === '!=') return ({ labels }) => labels[key] !== value
  return ({ labels }) => labels[key] === value
}

function splitOutsideParentheses(text: string): readonly string[] {
  const parts: string[] = []
  let depth = 0
  let start = 0
  for (let index = 0; index <= text.length; index++) {
    const character = text.charAt(index)
    if (character === '(') depth++
    else if (character === ')') depth--
    else if (character === '' || (character === ',' && depth === 0)) {
      parts.push(text.slice(start, index).trim())
      start = index + 1
    }
  }
  if (parts.length > 1 && parts.includes('')) throw badRequest("found ',', expected: identifier after ','")
  return parts.filter((part) => part !== '')
}

const FIELD_REQUIREMENT = /^([^=!,]+)(==|=|!=)([^=!,]*)$/

/**
 * Field selectors: `metadata.name=a,spec.nodeName!=b`. `metadata.name` and `metadata.namespace` always work;
 * the others only where `fields` names them, as on the real server. Throws a 400 for anything else.
 */
export function fieldSelector(text: string, fields: readonly string[], builtIn: boolean): Selector {
  const requirements = text
    .split(',')
    .filter((part) => part !== '')
    .map((part): Selector => {
      const match = FIELD_REQUIREMENT.exec(part)
      if (!match)
        throw badRequest(`invalid selector: ${JSON.stringify(part)}; can't understand ${JSON.stringify(part)}`)
      const [, field = '', operator, wanted] = match
      const fieldOf = fieldValue(field, fields, builtIn)
      return operator === '!=' ? (version) => fieldOf(version) !== wanted : (version) => fieldOf(version) === wanted
    })
  return (version) => requirements.every((requirement) => requirement(version))
}

function fieldValue(field: string, fields: readonly string[], builtIn: boolean): (version: Version) => string {
  if (field === 'metadata.name') return ({ name }) => name
  if (field === 'metadata.namespace') return ({ namespace }) => namespace
  if (fields.includes(field)) return (version) => version.fields[field] ?? ''
  if (builtIn && fields.length > 0) throw badRequest(`field label not supported: ${field}`)
  throw badRequest(
    `${builtIn ? JSON.stringify(field) : `field label not supported: ${field}`}${
      builtIn ? ' is not a known field selector: only "metadata.name", "metadata.namespace"' : ''
    }`,
  )
}
