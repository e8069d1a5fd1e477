"""What the desk sells and to whom: made-up passengers, flights and prices (cents)."""

from __future__ import annotations

NAMES = (
    "Sofia Marin", "Idris Okafor", "Wen Li", "Amara Diallo", "Jonas Berg", "Lucia Prieto",
    "Noor Haddad", "Tomas Novak", "Ines Duarte", "Kofi Mensah", "Elin Dahl", "Ravi Menon",
    "Mei Tanaka", "Olek Wrona", "Clara Blum", "Yusuf Aydin", "Freya Holm", "Diego Rojas",
    "Hana Kim", "Paul Martin",
)  # fmt: skip
PASSENGERS = tuple(
    (f"C{number:03d}", name, f"{name.lower().replace(' ', '.')}@example.com")
    for number, name in enumerate(NAMES, start=101)
)
REGULARS = PASSENGERS[:3]  # they fly every week, and ring to ask how their flight is doing

FLIGHTS = (
    ("AU101", "LIS-OSL", "06:40"),
    ("AU103", "LIS-OSL", "14:10"),
    ("AU204", "OSL-LIS", "09:25"),
    ("AU310", "LIS-GVA", "11:00"),
    ("AU412", "OSL-GVA", "07:55"),
    ("AU515", "BER-OSL", "17:30"),
)
FULL_FLIGHT = "AU101"  # a charter took every seat of the early flight to Oslo
SEATS = 400  # on every other flight, each day
FLIGHT_FOR = {
    route: flight for flight, route, _ in FLIGHTS if flight != FULL_FLIGHT
}  # route -> a flight with seats

FARE_FOR = {"LIS-OSL": 12900, "OSL-LIS": 13400, "LIS-GVA": 9900, "OSL-GVA": 11900, "BER-OSL": 8400}
FARE_CODES = {
    "Y-LIGHT": 100,
    "Y-FLEX": 140,
    "C-FLEX": 310,
    "SKI": 120,
}  # per cent of the route's fare
TAX_CENTS = 2100
BAG_CENTS = 2500
SKI_BAG_CENTS = 4500
SKI_ROUTES = ("LIS-GVA", "OSL-GVA")
