/**
 * What providers take for their models. Needs the optional peer dependency `@pydantic/genai-prices`.
 *
 * @since 0.1.0
 */
export * as Prices from "./Prices.js"
