"""HTTP beside the page: jobs, voices, results, models, and the speech endpoints of OpenAI."""
