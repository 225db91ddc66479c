/** A request that cannot be answered: becomes {"error": {code, message}} with an HTTP status. */
export class ApiError extends Error {
  readonly status: number;
  /** Stable word for programs. */
  readonly code: string;

  constructor(status: 400 | 404 | 409 | 500 | 503, code: string, message: string) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
  }
}
