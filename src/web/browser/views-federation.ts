/** Who is there, who wants to come in, and what is offered; like views.ts. */
import type { Child, Dom, PageElement } from './dom.ts'
import type { Listing, MembershipRequest, Presence } from './shapes-federation.ts'

export function createFederationViews({ el, mark, shortId, table, when }: Dom) {
  const PEER_SHOWN = 16
  /** What a member says of how others reach it, in words. */
  const REACHABLE: Readonly<Record<string, string>> = {
    public: 'from everywhere',
    forwarded: 'through its router',
    relayed: 'through a relay',
    'outbound-only': 'only when it connects itself',
    local: 'on its own network',
  }

  function presenceView(presences: readonly Presence[]): PageElement {
    const rows = presences.map((each) => [
      each.self ? `${each.name} (this node)` : each.name,
      thereOf(each),
      each.online ? when(each.startedMs) : '–',
      each.version ?? '–',
      each.reachable === undefined ? '–' : (REACHABLE[each.reachable] ?? each.reachable),
      each.accepts ?? '–',
    ])
    return table('Presence', ['Name', 'There', 'Since', 'Version', 'Reachable', 'Takes runs of'], rows)
  }

  function thereOf({ online, lastSeenMs }: Presence): PageElement {
    if (online) return mark('good', 'there')
    return mark('idle', lastSeenMs === undefined ? 'not seen yet' : `away, last seen ${when(lastSeenMs)}`)
  }

  function requestsView(requests: readonly MembershipRequest[]): PageElement {
    const waiting = requests.filter(({ denied }) => denied === undefined)
    if (waiting.length === 0) return nothing('Nobody waits to be admitted.')
    const rows = waiting.map(({ peer, name, message, contact, askedMs, by, formerly }): Child[] => [
      when(askedMs),
      formerly === undefined ? name : el('span', {}, name, ' ', mark('bad', `a former member: ${formerly}`)),
      message === '' ? '–' : message,
      contact === '' ? '–' : contact,
      by,
      shortId(peer, PEER_SHOWN),
    ])
    const way = el('code', {}, 'maoctl federation approve PEER, or deny PEER')
    return el(
      'div',
      {},
      table('Waiting', ['Asked', 'Name', 'Message', 'Contact', 'Asked at', 'Peer'], rows),
      el('p', {}, 'To decide: ', way),
    )
  }

  function marketView(listings: readonly Listing[]): PageElement {
    if (listings.length === 0) return nothing('Nothing is listed, as far as this node has heard.')
    const rows = listings.map((listing) => [
      listing.kind,
      listing.name,
      authorOf(listing),
      when(listing.heardMs),
      listing.description === '' ? '–' : listing.description,
    ])
    return el(
      'div',
      {},
      table('Offers of nodes anywhere', ['Kind', 'Name', 'Listed by', 'Known since', 'About'], rows),
      el('p', {}, 'A listing proves who wrote it, and nothing else.'),
    )
  }

  /** A stranger can use any name, so that a listing never stands without whose it is. */
  function authorOf({ standing, member, author }: Listing): Child {
    if (standing === 'own') return mark('good', 'this node')
    if (standing === 'member') return mark('good', member ?? 'a member')
    return el('span', {}, mark('idle', 'no member: '), shortId(author, PEER_SHOWN))
  }

  /** What only some tokens open. */
  function withheldView(text: string): PageElement {
    return nothing(text)
  }

  function nothing(text: string): PageElement {
    return el('p', { class: 'nothing' }, text)
  }

  return { presenceView, requestsView, marketView, withheldView }
}

export type FederationViews = ReturnType<typeof createFederationViews>
