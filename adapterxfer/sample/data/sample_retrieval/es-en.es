Buenos días, ¿qué tal has dormido?
Quisiera una taza de té sin azúcar.
La tienda abre a las nueve.
¿Dónde está la farmacia más cercana?
Mi hermano está aprendiendo a nadar.
Hoy tenemos sopa para comer.
Por favor, cierra la puerta, hace frío.
La luna está muy brillante esta noche.
Ella enseña matemáticas en una escuela pequeña.
No encuentra su zapato izquierdo.
El tren llegó con veinte minutos de retraso.
¿Cuánto cuesta esta chaqueta?
Mi abuelo cuenta historias maravillosas.
Ya no queda leche en la nevera.
Vivo en esta calle desde hace cinco años.
El gato duerme sobre el tejado caliente.
¿Puedes ayudarme a llevar esta caja?
Mañana visitaremos a nuestra tía en el pueblo.
El mar estaba tranquilo y azul.
Él lava los platos todas las noches.
He olvidado el nombre de esa película.
El pan todavía está caliente.
Vendieron su vieja casa el año pasado.
No hables con la boca llena.
Está nevando desde esta mañana.
La batería de mi móvil está casi agotada.
La bebé le sonrió a su madre.
Plantamos un manzano detrás de la casa.
Necesitas un billete para el autobús.
El médico dice que debo descansar más.
Oigo música en el piso de al lado.
Nuestros vecinos tienen dos perros y un loro.
El examen fue más fácil de lo que esperaba.
Vuelve a poner los libros en el estante.
Habla cuatro idiomas con fluidez.
Hay muchas estrellas sobre el desierto.
La cocina huele a café recién hecho.
Se rompió el brazo esquiando.
¿A qué hora cierra el museo?
Me dan miedo los truenos.
Los niños construyeron un castillo de arena.
Nos quedamos sin gasolina en la autopista.
Mi hermana toca la batería en un grupo.
El viejo puente se reparará en primavera.
A esta sopa le falta un poco de sal.
Lleva meses buscando trabajo.
¿Podría hablar más despacio, por favor?
El agricultor se levanta antes del amanecer.
Compré estos zapatos para mi boda.
La biblioteca está tranquila por la tarde.
Alguien me ha robado la bicicleta.
El lago está demasiado frío para nadar.
Su carta me hizo muy feliz.
Gire a la derecha en el semáforo.
No entiendo esta pregunta.
El avión aterriza dentro de media hora.
Mi padre está reparando el tejado.
Vimos la puesta de sol desde la colina.
Puede pagar en efectivo o con tarjeta.
La policía busca un coche rojo.
Anoche soñé con mi infancia.
La sopa se quemó porque nadie la vigilaba.
Le cedió su asiento a una anciana.
Los sábados el mercado está lleno de gente.
La miel nunca se estropea.
Ella quiere ser piloto.
Las abejas vuelan de flor en flor.
Perdí una apuesta con mi primo.
El ascensor está averiado otra vez.
¿De quién son estas gafas?
Se rio hasta que se le saltaron las lágrimas.
El río atraviesa tres países.
Tenemos que cambiar de tren dos veces.
Me duele una muela desde el domingo.
Los invitados llegaron antes de lo previsto.
Suelo tomar café después de comer.
La camisa me queda pequeña.
Dos y dos son cuatro.
La maestra escribió un poema en la pizarra.
Está prohibido fumar en este edificio.
El sastre está cosiendo un vestido para la novia.
Nunca he comido unos mangos tan buenos.
El viento le llevó el sombrero al río.
Ella cuenta el dinero dos veces.
Nuestro equipo perdió el último partido.
Las carreteras son peligrosas cuando llueve.
Quedemos delante del teatro.
En este pueblo solo hay un médico.
El burro se niega a moverse.
Nació el mismo año que mi madre.
Esta noche prefiero quedarme en casa.
La vela se apagó y la habitación quedó a oscuras.
Le pusieron a su hija el nombre de su abuela.
Escriba su dirección en este papel.
El elefante es el animal terrestre más grande.
La reunión se ha pasado al jueves.
Huelo a humo.
El rey tenía tres hijos y una hija.
Lávate las manos antes de comer.
¡Hasta la semana que viene!
