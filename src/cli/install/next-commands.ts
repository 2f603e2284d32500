/** What whoever installed a node types next. Pure. */
import type { Answers } from './answers.ts'

export interface Paths {
  readonly unit: string
  readonly unitName: string
  readonly compose: string
}

export interface NextCommands {
  readonly start: readonly string[]
  readonly watch: string
  readonly afterwards: readonly string[]
}

/** @param usualData the data directory that need not be named. */
export function nextCommands(answers: Answers, paths: Paths, usualData: string): NextCommands {
  const { data } = answers
  const maoctl = data === usualData ? 'maoctl' : `maoctl --data ${shellWord(data)}`
  return {
    ...startOf(answers, paths, maoctl),
    afterwards: [...wayOf(answers, maoctl), `${maoctl} instance init`],
  }
}

function startOf({ runner }: Answers, { unitName, compose }: Paths, maoctl: string) {
  if (runner === 'compose') {
    const docker = `docker compose --file ${shellWord(compose)}`
    return { start: [`${docker} up --detach`], watch: `${docker} logs --follow` }
  }
  if (runner === 'hand') return { start: [`${maoctl} instance start`], watch: `${maoctl} status` }
  const [sudo, user] = runner === 'system-service' ? ['sudo ', ''] : ['', ' --user']
  return {
    start: [`${sudo}systemctl${user} daemon-reload`, `${sudo}systemctl${user} enable --now ${unitName}`],
    watch: `${sudo}journalctl${user} --unit ${unitName} --follow`,
  }
}

function wayOf({ way, name }: Answers, maoctl: string): string[] {
  switch (way.kind) {
    case 'alone':
      return [`${maoctl} federation create --name ${name}`]
    case 'create': {
      const about = way.description === '' ? '' : ` --description ${shellWord(way.description)}`
      const contacts = way.contacts.map((each) => ` --contact ${shellWord(each)}`).join('')
      const founding = `${maoctl} federation create --name ${way.name}${about}${contacts}${way.isPrivate ? ' --private' : ''}`
      return [founding, `${maoctl} federation invite`]
    }
    case 'join':
      // The token is good for whoever has it, and is not shown again.
      return [`${maoctl} federation join -`]
    case 'request': {
      const to = way.addresses.map((each) => ` --address ${shellWord(each)}`).join('')
      const named = way.federation === '' ? 'NAME' : shellWord(way.federation)
      const words = [way.message, way.contact].map(shellWord)
      const asking = `${maoctl} federation request${to === '' ? ` --listing ${named}` : to} --message ${words[0]} --contact ${words[1]}`
      return [...(to === '' ? [`${maoctl} market list --kind federation`] : []), asking]
    }
    case 'later':
      return []
  }
}

/** As a POSIX shell takes it for one word. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}
