/** Recognizes loopback addresses, and requests of web pages from other origins. */

import type { RequestHeaders } from "../http/exchange.js"
import { header } from "../http/exchange.js"

const loopbackNames =
  /^(?:localhost|(?:.+\.)?localhost|127(?:\.\d{1,3}){3}|\[?::1\]?|\[?::ffff:127(?:\.\d{1,3}){3}\]?)$/i

/** Whether an address is reachable from its own machine only. */
export const isLoopback = (hostname: string): boolean => loopbackNames.test(hostname)

/** The host of an origin or of a Host header, without its port. */
const hostOf = (authority: string): string => authority.replace(/^[a-z][a-z0-9+.-]*:\/\//i, "").replace(/:\d+$/, "")

/**
 * Whether a request comes from a program or a local web page. Browsers send requests of other pages to the loopback interface
 * too: `Origin` contains the origin of the page, and after DNS rebinding `Host` contains a foreign name.
 */
export const isOwnPage = (headers: RequestHeaders): boolean => {
  const host = header(headers, "host")
  const origin = header(headers, "origin")
  return (host === undefined || isLoopback(hostOf(host))) && (origin === undefined || isLoopback(hostOf(origin)))
}
