/** What a gateway without keys answers: its own machine. */

const names = /^(?:localhost|(?:.+\.)?localhost|127(?:\.\d{1,3}){3}|\[?::1\]?|\[?::ffff:127(?:\.\d{1,3}){3}\]?)$/i

/** Whether an address is one that no other machine can reach. */
export const isLoopback = (hostname: string): boolean => names.test(hostname)

/** The host of an origin or of a Host header, without its port. */
const hostOf = (authority: string): string => authority.replace(/^[a-z][a-z0-9+.-]*:\/\//i, "").replace(/:\d+$/, "")

/**
 * Whether no web page of somebody else's is asking. A browser would send its requests to the loopback interface too: pages say
 * where they are from (`Origin`), and one whose name was made to point here says that name (`Host`).
 */
export const isOwnPage = (headers: Readonly<Record<string, string | undefined>>): boolean => {
  const { host, origin } = headers
  return (host === undefined || isLoopback(hostOf(host))) && (origin === undefined || isLoopback(hostOf(origin)))
}
