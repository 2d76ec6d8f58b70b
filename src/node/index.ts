/**
 * HTTP for Node. Needs the optional peer dependency `@effect/platform-node`.
 *
 * @since 0.2.0
 */
export * as NodeTransport from "./NodeTransport.js"
