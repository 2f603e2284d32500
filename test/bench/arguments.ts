export interface Asked<Name extends string> {
  readonly name: Name
  readonly json: boolean
  readonly quick: boolean
}

/** What was asked for, or the sentence that says what is wrong with it. */
export function parseArguments<Name extends string>(
  args: readonly string[],
  names: readonly Name[],
): Asked<Name> | { readonly problem: string } {
  const options = args.filter((argument) => argument.startsWith('-'))
  const unknown = options.find((option) => option !== '--json' && option !== '--quick')
  if (unknown !== undefined) return { problem: `unknown option ${unknown}` }
  const [asked, ...more] = args.filter((argument) => !argument.startsWith('-'))
  if (asked === undefined) return { problem: 'which bench?' }
  if (more.length > 0) return { problem: `one bench at a time, not also ${more.join(' ')}` }
  const name = names.find((known) => known === asked)
  if (name === undefined) return { problem: `there is no bench ${asked}` }
  return { name, json: options.includes('--json'), quick: options.includes('--quick') }
}
