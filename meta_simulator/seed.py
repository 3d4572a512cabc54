"""The people, Pages and Instagram accounts that exist at the start; the README lists them.

Names contain quotes, emoji and several scripts on purpose, and one Page id is beyond 2^53. They break clients that
escape by hand or read ids as numbers.
"""

from meta_simulator.world import AccountType, InstagramAccount, Page, PageRole, Person, World

AGENCY_PAGE_COUNT = 120
AGENCY_PAGES_WITHOUT_INSTAGRAM = 10  # every tenth Page

ANA_CAFE = Page(
    id="104857600000001",
    name='Café "Azul" ☕',
    category="Café",
    instagram=InstagramAccount(
        id="17841400000000001",
        username="cafe.azul",
        name='Café "Azul" ☕',
        biography='Fresh coffee & "pão de queijo" 🧀\nOpen 8-18h',
        website="https://cafe-azul.example/?ref=ig&lang=pt",
        followers_count=18250,
        follows_count=312,
        media_count=874,
    ),
)
ANA_STUDIO = Page(
    id="27640875392278831",
    name="Ana's Estúdio 📸 & Söhne",
    category="Photographer",
    instagram=InstagramAccount(
        id="17841400000000002",
        username="estudio_ana",
        name="O'Souza 写真館",
        biography="Portraits. <b>No</b> weddings.",
        followers_count=942,
        follows_count=120,
        media_count=57,
    ),
)
BEN_BAKERY = Page(id="104857600000003", name="Carter & Sons Bakery", category="Bakery")
EMEKA_STORE = Page(
    id="104857600000004",
    name="Ọjà Emeka ltd.",
    category="Shopping & retail",
    owned_by_portfolio=True,
    instagram=InstagramAccount(
        id="17841400000000004", username="oja.emeka", name="Ọjà Emeka", followers_count=40, media_count=3
    ),
)

# On Instagram only, not linked to a Page.
LUZ_CREATOR = InstagramAccount(
    id="17841400000000005",
    username="luz.cria",
    name="Luz María 🌻",
    biography="Recipes & more",
    followers_count=51200,
    follows_count=88,
    media_count=1204,
    account_type=AccountType.CREATOR,
)
PIA_PERSONAL = InstagramAccount(
    id="17841400000000006",
    username="pia.privat",
    name="Pia Größe",
    followers_count=61,
    follows_count=75,
    media_count=12,
    account_type=AccountType.PERSONAL,
)


def _agency_page(number: int) -> Page:
    account = InstagramAccount(
        id=f"178414000000{10000 + number}",
        username=f"agency_client_{number:03d}",
        name=f"Клиент {number} 🚀",
        followers_count=100 * number,
        follows_count=number,
        media_count=3 * number,
    )
    has_account = number % AGENCY_PAGES_WITHOUT_INSTAGRAM != 0
    return Page(
        id=f"1048576{10000000 + number}",
        name=f"Клиент №{number}",
        category="Agency client",
        instagram=account if has_account else None,
    )


def seeded_world() -> World:
    """Return a new world with the seeded people, Pages and accounts."""
    agency = [_agency_page(number) for number in range(1, AGENCY_PAGE_COUNT + 1)]
    world = World()
    _add(world, 1, "Ana Souza", "ana@people.example", [ANA_CAFE, ANA_STUDIO])
    _add(world, 2, "Ben Carter", "ben@people.example", [BEN_BAKERY])
    _add(world, 3, "Chloé Dubois", "chloe@people.example", [])
    world.add_instagram_account(LUZ_CREATOR)
    world.add_instagram_account(PIA_PERSONAL)
    _add(world, 4, "Dmitri Agency", "dmitri@people.example", agency)
    _add(world, 5, "Emeka Business", "emeka@people.example", [EMEKA_STORE])
    teammate_role = PageRole(ANA_CAFE.id, tasks=("ANALYZE", "MODERATE", "MESSAGING"))
    world.add(Person(_person_id(6), "فاطمة Teammate", "fatima@people.example", (teammate_role,)))
    return world


def _add(world: World, number: int, name: str, email: str, pages: list[Page]) -> None:
    roles = tuple(PageRole(page.id) for page in pages)
    world.add(Person(_person_id(number), name, email, roles), pages)


def _person_id(number: int) -> str:
    return f"1022000000000{number:04d}"
