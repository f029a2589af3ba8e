// FastCGIClient
