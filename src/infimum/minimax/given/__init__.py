"""What a user gives as an approximation: coefficients, polynomials, quotients, expressions, and answers."""
