import type { Validator } from './validator.ts'

/**
 * Validators that are there from the start, by the digest of their schema. None here: scripts/bundle.ts puts in the
 * place of this file a module with those of every schema of the product.
 */
export const compiledAhead: Readonly<Record<string, Validator>> = {}
